//! Whether the scenario's own expectations hold, and whether the run can be believed at all.
