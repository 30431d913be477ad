"""Tables, figures and report of a study, its status and cost, and exports."""
