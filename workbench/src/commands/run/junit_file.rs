//! `run --junit FILE`: every run of one command in one file, also when runs fail.

use std::path::{Path, PathBuf};

use super::conclude::Concluded;
use crate::commands::output;
use crate::exit_code;
use crate::report::junit::{Case, Junit};

/// The file in the making.
pub struct JunitFile {
    path: Option<PathBuf>,
    junit: Junit,
}

impl JunitFile {
    /// A file at `path`, if one is wanted. That it can be written is tried before anything runs, and an old one is
    /// removed: if this command comes to no end, nobody shall take that for its result.
    ///
    /// # Errors
    /// The exit code, after saying why.
    pub fn new(path: Option<&Path>) -> Result<Self, u8> {
        if let Some(path) = path
            && let Err(e) = output::prepare(path)
        {
            eprintln!("workbench: --junit {}: {e}", path.display());
            return Err(exit_code::ENVIRONMENT);
        }
        Ok(Self { path: path.map(Path::to_owned), junit: Junit::default() })
    }

    /// Adds a run.
    pub fn add(&mut self, concluded: &Concluded) {
        if self.path.is_none() {
            return;
        }
        self.junit.add(Case {
            report: &concluded.report,
            file: &concluded.file,
            label: concluded.label.as_deref(),
            repeat: concluded.repeat,
            told: &concluded.story,
        });
    }

    /// Writes it, and returns `code`, or if it cannot be written a code that is no success.
    pub fn write(self, code: u8) -> u8 {
        let Some(path) = self.path else { return code };
        match self.junit.render().and_then(|bytes| output::write(&path, &bytes)) {
            Ok(()) => code,
            Err(e) => {
                eprintln!("workbench: --junit {}: {e}", path.display());
                if code == exit_code::AGREES { exit_code::ENVIRONMENT } else { code }
            }
        }
    }
}
