"""The datasets that have a name, and what the paper's protocol says about each.

Protocol: Atashgahi et al., "Unveiling the Power of Sparse Neural Networks for Feature Selection", ECAI 2024
(arXiv 2408.04583), appendices A and C and the published code. Batches: 32 for text, biological, Arcene and Yale, 64 for
Madelon, else 100. K: 100, and 20 for Madelon. Scaling: standard; minmax for MNIST, and for COIL20 in the code.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from dst.data.entry import Entry
from dst.data.known.generators import breast_cancer, digits, iris, madelon_like, synthetic, wine

_ASU = "scikit-feature selection repository, Arizona State University"
_ASU_FILES = "https://jundongl.github.io/scikit-feature/files/datasets"
_ASU_CODE = "https://raw.githubusercontent.com/jundongl/scikit-feature/master/skfeature/data"
_SKLEARN = "embedded: shipped with scikit-learn"

_NEWSGROUPS = 'K. Lang, "NewsWeeder: learning to filter netnews", ICML 1995'
_NIPS_2003 = 'I. Guyon et al., "Result analysis of the NIPS 2003 feature selection challenge", NIPS 2004'


def _scikit_feature(
    name: str,
    shape: tuple[int, int],
    n_classes: int,
    kind: str,
    citation: str,
    *,
    batch_size: int,
    file: str,
    address: str | None = None,
    k: int = 100,
    **more: Any,
) -> Entry:
    """An entry of the scikit-feature repository, which serves ``file`` under ``address`` (by default, its own name)."""
    urls = tuple(f"{folder}/{address or file}" for folder in (_ASU_FILES, _ASU_CODE))
    return Entry(name, shape, n_classes, kind, _ASU, citation, k, batch_size, file=file, urls=urls, **more)


def _synthetic(n_rows: int, batch_size: int) -> Entry:
    return Entry(
        f"synthetic_{n_rows}",
        (n_rows, 200),
        2,
        "artificial",
        "embedded: drawn by scikit-learn's make_classification",
        "Atashgahi et al., ECAI 2024 (arXiv 2408.04583), appendix C",
        k=50,  # a quarter of the columns, as elsewhere; the paper counts its 100 informative ones among the first 100
        batch_size=batch_size,
        generator=partial(synthetic, n_rows),
    )


_ENTRIES = (
    Entry(
        "MNIST",
        (70_000, 784),
        10,
        "handwritten",
        "OpenML dataset 554 (mnist_784, version 1)",
        'Y. LeCun et al., "Gradient-based learning applied to document recognition", Proc. IEEE 86(11), 1998',
        k=100,
        batch_size=100,
        file="mnist_784-openml-554.npz",
        openml=554,
        scaling="minmax",
        pixels="rows",
        official_train_rows=60_000,
        official_train_counts=(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    ),
    _scikit_feature(
        "USPS",
        (9298, 256),
        10,
        "handwritten",
        'J. J. Hull, "A database for handwritten text recognition research", IEEE TPAMI 16(5), 1994',
        k=64,
        batch_size=100,
        file="USPS.mat",
    ),
    _scikit_feature(
        "Gisette",
        (7000, 5000),
        2,
        "handwritten",
        _NIPS_2003,
        batch_size=100,
        file="gisette.mat",
        official_train_rows=6000,
        official_train_counts=(3000, 3000),
    ),
    _scikit_feature(
        "COIL20",
        (1440, 1024),
        20,
        "image",
        'S. A. Nene et al., "Columbia object image library (COIL-20)", report CUCS-005-96, 1996',
        batch_size=100,
        file="COIL20.mat",
        sha256="4595ebdda07f47b0eb014fcfaddc22b452f9aed9c1d9261a0d5bc336c1ee1344",
        pixels="columns",
        scaling="minmax",  # in the paper's code; its appendix says standard
    ),
    _scikit_feature(
        "ORL",
        (400, 1024),
        40,
        "image",
        'F. Samaria, A. Harter, "Parameterisation of a stochastic model for human face identification", WACV 1994',
        batch_size=100,
        file="ORL.mat",
        sha256="e257ec36002e48688ed7f3b9fda13f479f2fd98864fa0672d1353eda1912b189",
        pixels="columns",
    ),
    _scikit_feature(
        "Yale",
        (165, 1024),
        15,
        "image",
        'P. N. Belhumeur et al., "Eigenfaces vs. Fisherfaces", IEEE TPAMI 19(7), 1997',
        batch_size=32,
        file="Yale.mat",
        sha256="cccd29abd2c520dd5cc8ff7645b422c2bdadd59406a6b6a0239143d9d44afcf3",
        pixels="columns",
    ),
    _scikit_feature(
        "BASEHOCK",
        (1993, 4862),
        2,
        "text",
        _NEWSGROUPS,
        batch_size=32,
        file="BASEHOCK.mat",
        sha256="e0452e0f3c0fefdc5cb6352165e4ba4a25c3a2a7b5a5b4d44e103742d6317aa0",
    ),
    _scikit_feature(
        "PCMAC",
        (1943, 3289),
        2,
        "text",
        _NEWSGROUPS,
        batch_size=32,
        file="PCMAC.mat",
        sha256="9999dfccf97ab88f87127dd3457da436acb75cda9f0af4750e7cae5fe1a31b25",
    ),
    _scikit_feature(
        "RELATHE",
        (1427, 4322),
        2,
        "text",
        _NEWSGROUPS,
        batch_size=32,
        file="RELATHE.mat",
        sha256="1091fe26c721aa69ddc5ce3ebcef54e03565809cae07e1769cef45ad23ab28d0",
    ),
    _scikit_feature(
        "Prostate_GE",
        (102, 5966),
        2,
        "biological",
        'D. Singh et al., "Gene expression correlates of clinical prostate cancer behavior", Cancer Cell 1(2), 2002',
        batch_size=32,
        file="Prostate-GE.mat",
        address="Prostate_GE.mat",
        sha256="050b598534dbc662f23e30f39b41354b61d02ab8567837bcf9b1091c1c636ab4",
    ),
    _scikit_feature(
        "SMK_CAN_187",
        (187, 19_993),
        2,
        "biological",
        'A. Spira et al., "Airway epithelial gene expression in the diagnostic evaluation of smokers with suspect lung '
        'cancer", Nature Medicine 13, 2007',
        batch_size=32,
        file="SMK_CAN_187.mat",
    ),
    _scikit_feature(
        "CLL_SUB_111",
        (111, 11_340),
        3,
        "biological",
        'C. Haslinger et al., "Microarray gene expression profiling of B-cell chronic lymphocytic leukemia subgroups", '
        "Journal of Clinical Oncology 22(19), 2004",
        batch_size=32,
        file="CLL_SUB_111.mat",
    ),
    _scikit_feature(
        "lymphoma",
        (96, 4026),
        9,
        "biological",
        'A. A. Alizadeh et al., "Distinct types of diffuse large B-cell lymphoma ...", Nature 403, 2000',
        batch_size=32,
        file="lymphoma.mat",
        sha256="bd834ed911d47ecf2e07625ed77617d514d89ee398fa2e7a787230f7cf5243f8",
    ),
    _scikit_feature(
        "Carcinom",
        (174, 9182),
        11,
        "biological",
        'A. I. Su et al., "Molecular classification of human carcinomas ...", Cancer Research 61, 2001',
        batch_size=32,
        file="Carcinom.mat",
    ),
    Entry(
        "HAR",
        (10_299, 561),
        6,
        "time_series",
        "OpenML dataset 1478 (har, version 1)",
        'D. Anguita et al., "A public domain dataset for human activity recognition using smartphones", ESANN 2013',
        k=100,
        batch_size=100,
        file="har-openml-1478.npz",
        openml=1478,
        official_train_rows=7352,
        official_train_counts=(1226, 1073, 986, 1286, 1374, 1407),
    ),
    _scikit_feature(
        "Arcene",
        (200, 10_000),
        2,
        "mass_spectrometry",
        _NIPS_2003,
        batch_size=32,
        file="arcene.mat",
        sha256="779d678207b9a8c0ba8f2f5ecdb2216d9f98bf475ab040e806797efd36331bc5",
    ),
    _scikit_feature(
        "Isolet",
        (1560, 617),
        26,
        "speech",
        'M. Fanty, R. Cole, "Spoken letter recognition", NIPS 1990',
        batch_size=100,
        file="Isolet.mat",
        sha256="ea73c69b1342a7def8199458e53a70307a83d557eceb2579863dda57c3ccd2b1",
    ),
    _scikit_feature(
        "Madelon",
        (2600, 500),
        2,
        "artificial",
        _NIPS_2003,
        k=20,  # its relevant features: 5 informative, 15 redundant
        batch_size=64,
        file="madelon.mat",
        sha256="7dc9c9ff8d902651948e2df7f9cb6ed38c5d91e4c4159914cecb1ddbc7def12c",
        official_train_rows=2000,
        official_train_counts=(1000, 1000),
    ),
    Entry(
        "breast_cancer",
        (569, 30),
        2,
        "tabular",
        _SKLEARN,
        'W. N. Street et al., "Nuclear feature extraction for breast tumor diagnosis", 1993 (Wisconsin, diagnostic)',
        k=8,
        batch_size=100,
        generator=breast_cancer,
    ),
    Entry(
        "digits",
        (1797, 64),
        10,
        "handwritten",
        _SKLEARN,
        "E. Alpaydin, C. Kaynak, Optical recognition of handwritten digits, UCI, 1998",
        k=16,
        batch_size=100,
        generator=digits,
        scaling="minmax",  # as the paper does with MNIST
        pixels="rows",
    ),
    Entry(
        "iris",
        (150, 4),
        3,
        "tabular",
        _SKLEARN,
        'R. A. Fisher, "The use of multiple measurements in taxonomic problems", Annals of Eugenics 7, 1936',
        k=1,
        batch_size=32,
        generator=iris,
    ),
    Entry(
        "wine",
        (178, 13),
        3,
        "tabular",
        _SKLEARN,
        "M. Forina et al., PARVUS, Genoa, 1988 (UCI Wine)",
        k=4,
        batch_size=32,
        generator=wine,
    ),
    Entry(
        "madelon_like",
        (1000, 200),
        2,
        "artificial",
        "embedded: drawn by scikit-learn's make_classification",
        'I. Guyon, "Design of experiments of the NIPS 2003 variable selection benchmark", 2003',
        k=20,  # its relevant features: 5 informative, 15 redundant
        batch_size=100,
        generator=madelon_like,
    ),
    _synthetic(100, batch_size=32),
    _synthetic(500, batch_size=100),
    _synthetic(1000, batch_size=100),
    _synthetic(10_000, batch_size=100),
)

DATASETS: dict[str, Entry] = {entry.name: entry for entry in _ENTRIES}
"""Name -> entry: the paper's table 2 in its order, then what needs no file."""


def find_name(name: str) -> Entry | None:
    """The entry of that name, whatever its case and whether it is written with ``-`` or ``_``."""
    return next((entry for entry in DATASETS.values() if _plain(entry.name) == _plain(name)), None)


def find_sha256(sha256: str) -> Entry | None:
    """The entry whose file has these bytes."""
    return next((entry for entry in DATASETS.values() if entry.sha256 == sha256), None)


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")
