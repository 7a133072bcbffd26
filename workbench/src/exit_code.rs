//! The exit codes, as documented in `--help` and README.md.

/// Everything agrees.
pub const AGREES: u8 = 0;
/// Something differs from its snapshot, an expectation fails, or, with `CI` set, a snapshot is missing.
pub const DIFFERS: u8 = 1;
/// The scenario or the command line is wrong.
pub const WRONG_INPUT: u8 = 2;
/// The environment lacks what is needed.
pub const ENVIRONMENT: u8 = 3;
/// Inconclusive: the machine stalled, or a recorder lost something.
pub const INCONCLUSIVE: u8 = 4;
/// Interrupted by SIGINT, SIGTERM or SIGHUP: one code for all, the shells' for Ctrl-C.
pub const INTERRUPTED: u8 = 130;
