"""The datasets that have a name, and what the paper's protocol says about each.

Protocol: Atashgahi et al., "Unveiling the Power of Sparse Neural Networks for Feature Selection", ECAI 2024
(arXiv 2408.04583), appendix A and the published code.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from dst.data.dataset import Scaling
from dst.data.generators import breast_cancer, digits, madelon_like, wine
from dst.data.readers import Table

_ASU = "scikit-feature selection repository, Arizona State University"
_SKLEARN = "embedded: shipped with scikit-learn"


@dataclass(frozen=True)
class Entry:
    """A dataset known by name.

    Attributes:
        name: as the paper spells it.
        shape: rows and feature columns.
        n_classes: number of classes.
        kind: what sort of data it is.
        source: where it comes from, in words.
        k: how many features a ranking is judged on.
        batch_size: rows in a training batch.
        file: the file's name, for data that is read.
        sha256: of that file's bytes.
        generator: makes the table, for data that needs no file.
        scaling: the scaler of the paper's protocol.
        official_train_rows: the table's first rows, which are its official training part; the rest is the official
            test part. None: there are no official parts.
    """

    name: str
    shape: tuple[int, int]
    n_classes: int
    kind: str
    source: str
    k: int
    batch_size: int
    file: str | None = None
    sha256: str | None = None
    generator: Callable[[], Table] | None = None
    scaling: Scaling = "standard"
    official_train_rows: int | None = None


DATASETS: dict[str, Entry] = {
    "Yale": Entry(
        name="Yale",
        shape=(165, 1024),
        n_classes=15,
        kind="image",
        source=_ASU,
        k=100,
        batch_size=32,
        file="Yale.mat",
        sha256="cccd29abd2c520dd5cc8ff7645b422c2bdadd59406a6b6a0239143d9d44afcf3",
    ),
    "ORL": Entry(
        name="ORL",
        shape=(400, 1024),
        n_classes=40,
        kind="image",
        source=_ASU,
        k=100,
        batch_size=100,
        file="ORL.mat",
        sha256="e257ec36002e48688ed7f3b9fda13f479f2fd98864fa0672d1353eda1912b189",
    ),
    "COIL20": Entry(
        name="COIL20",
        shape=(1440, 1024),
        n_classes=20,
        kind="image",
        source=_ASU,
        k=100,
        batch_size=100,
        file="COIL20.mat",
        sha256="4595ebdda07f47b0eb014fcfaddc22b452f9aed9c1d9261a0d5bc336c1ee1344",
        scaling="minmax",  # in the paper's code; its appendix says standard
    ),
    "Isolet": Entry(
        name="Isolet",
        shape=(1560, 617),
        n_classes=26,
        kind="speech",
        source=_ASU,
        k=100,
        batch_size=100,
        file="Isolet.mat",
        sha256="ea73c69b1342a7def8199458e53a70307a83d557eceb2579863dda57c3ccd2b1",
    ),
    "BASEHOCK": Entry(
        name="BASEHOCK",
        shape=(1993, 4862),
        n_classes=2,
        kind="text",
        source=_ASU,
        k=100,
        batch_size=32,
        file="BASEHOCK.mat",
        sha256="e0452e0f3c0fefdc5cb6352165e4ba4a25c3a2a7b5a5b4d44e103742d6317aa0",
    ),
    "PCMAC": Entry(
        name="PCMAC",
        shape=(1943, 3289),
        n_classes=2,
        kind="text",
        source=_ASU,
        k=100,
        batch_size=32,
        file="PCMAC.mat",
        sha256="9999dfccf97ab88f87127dd3457da436acb75cda9f0af4750e7cae5fe1a31b25",
    ),
    "RELATHE": Entry(
        name="RELATHE",
        shape=(1427, 4322),
        n_classes=2,
        kind="text",
        source=_ASU,
        k=100,
        batch_size=32,
        file="RELATHE.mat",
        sha256="1091fe26c721aa69ddc5ce3ebcef54e03565809cae07e1769cef45ad23ab28d0",
    ),
    "Prostate_GE": Entry(
        name="Prostate_GE",
        shape=(102, 5966),
        n_classes=2,
        kind="biological",
        source=_ASU,
        k=100,
        batch_size=32,
        file="Prostate-GE.mat",
        sha256="050b598534dbc662f23e30f39b41354b61d02ab8567837bcf9b1091c1c636ab4",
    ),
    "lymphoma": Entry(
        name="lymphoma",
        shape=(96, 4026),
        n_classes=9,
        kind="biological",
        source=_ASU,
        k=100,
        batch_size=32,
        file="lymphoma.mat",
        sha256="bd834ed911d47ecf2e07625ed77617d514d89ee398fa2e7a787230f7cf5243f8",
    ),
    "Arcene": Entry(
        name="Arcene",
        shape=(200, 10000),
        n_classes=2,
        kind="mass_spectrometry",
        source=f"{_ASU}; NIPS 2003 feature selection challenge",
        k=100,
        batch_size=32,
        file="arcene.mat",
        sha256="779d678207b9a8c0ba8f2f5ecdb2216d9f98bf475ab040e806797efd36331bc5",
    ),
    "Madelon": Entry(
        name="Madelon",
        shape=(2600, 500),
        n_classes=2,
        kind="artificial",
        source=f"{_ASU}; NIPS 2003 feature selection challenge",
        k=20,  # its relevant features: 5 informative, 15 redundant
        batch_size=64,
        file="madelon.mat",
        sha256="7dc9c9ff8d902651948e2df7f9cb6ed38c5d91e4c4159914cecb1ddbc7def12c",
        official_train_rows=2000,
    ),
    "breast_cancer": Entry(
        name="breast_cancer",
        shape=(569, 30),
        n_classes=2,
        kind="tabular",
        source=_SKLEARN,
        k=8,
        batch_size=100,
        generator=breast_cancer,
    ),
    "digits": Entry(
        name="digits",
        shape=(1797, 64),
        n_classes=10,
        kind="handwritten",
        source=_SKLEARN,
        k=16,
        batch_size=100,
        generator=digits,
        scaling="minmax",  # as the paper does with MNIST
    ),
    "wine": Entry(
        name="wine",
        shape=(178, 13),
        n_classes=3,
        kind="tabular",
        source=_SKLEARN,
        k=4,
        batch_size=32,
        generator=wine,
    ),
    "madelon_like": Entry(
        name="madelon_like",
        shape=(1000, 200),
        n_classes=2,
        kind="artificial",
        source="embedded: drawn by scikit-learn's make_classification",
        k=20,  # its relevant features: 5 informative, 15 redundant
        batch_size=100,
        generator=madelon_like,
    ),
}
"""Name -> entry."""


def find_name(name: str) -> Entry | None:
    """The entry of that name, whatever its case and whether it is written with ``-`` or ``_``."""
    return next((entry for entry in DATASETS.values() if _plain(entry.name) == _plain(name)), None)


def find_sha256(sha256: str) -> Entry | None:
    """The entry whose file has these bytes."""
    return next((entry for entry in DATASETS.values() if entry.sha256 == sha256), None)


def default_k(n_features: int) -> int:
    """How many features to judge a ranking on where nobody named it: 100, or a quarter of the columns, rounded up."""
    return min(100, math.ceil(n_features / 4))


def default_batch_size(n_samples: int) -> int:
    """Rows in a training batch where nobody named it: 32 below 200 rows, else 100 (the paper's rule)."""
    return 32 if n_samples < 200 else 100


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")
