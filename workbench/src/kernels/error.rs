//! Why there is no kernel: each error says what was expected, what was found, and what would be right.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a kernel was not built, found, added or removed.
#[derive(Debug, Error)]
pub enum KernelError {
    /// No folder for the cache is known.
    #[error("no place for kernels is known: of WORKBENCH_CACHE, XDG_CACHE_HOME and HOME none is set; set one of them")]
    NoCache,
    /// A file or folder refused.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The cache is empty.
    #[error(
        "the virtual engine needs a User-Mode Linux kernel, and there is none in {folder}; {} (about 5 minutes)",
        match .missing_tools[..] {
            [] => "`workbench kernel build` makes one".to_owned(),
            _ => format!(
                "`workbench doctor --fix` installs what a build needs here ({}) and makes one",
                .missing_tools.join(", ")
            ),
        }
    )]
    None {
        /// Where one would be.
        folder: String,
        /// What would have to be there to build one.
        missing_tools: Vec<&'static str>,
    },
    /// There are kernels, and not this one.
    #[error("no kernel {wanted} is here; there is {present}; {remedy}", present = present.join(", "))]
    NotHere {
        /// What was asked for.
        wanted: String,
        /// What is there.
        present: Vec<String>,
        /// What gets it.
        remedy: String,
    },
    /// What was asked for is no version.
    #[error("`{0}` is no kernel: expected a version such as 6.12, 6.12.117 or 6.12@1000, or `all`")]
    NoVersion(String),
    /// Several kernels have this name.
    #[error("several kernels are called {name}: say which by its folder: {folders}", folders = folders.join(", "))]
    Ambiguous {
        /// The name.
        name: String,
        /// Their folders' names.
        folders: Vec<String>,
    },
    /// What was given as a kernel's source is none that can be built.
    #[error("{path} cannot be built: {why}", path = path.display())]
    NotSource {
        /// What was given.
        path: PathBuf,
        /// What it lacks, and what would be right.
        why: String,
    },
    /// No source was given and none was found.
    #[error("no kernel source: {0}")]
    NoSource(String),
    /// Programs that a build runs are not here.
    #[error("a kernel build runs programs that are not in PATH: {}; `workbench doctor --fix` installs them", .0.join(", "))]
    MissingTools(Vec<&'static str>),
    /// The file system is too full.
    #[error(
        "a kernel build needs about {expected} of free space in {folder}, and there is {found}; make room, or set \
         WORKBENCH_CACHE to a folder that has it",
        folder = folder.display()
    )]
    NoSpace {
        /// Where.
        folder: PathBuf,
        /// `2.5 GB`.
        expected: String,
        /// `1.1 GB`.
        found: String,
    },
    /// A program that a build runs failed.
    #[error("{what} failed, `{command}` ended with {status}{}", last_words(said))]
    Failed {
        /// What it was for.
        what: &'static str,
        /// The program and its first arguments.
        command: String,
        /// How it ended.
        status: String,
        /// Its last lines.
        said: Vec<String>,
    },
    /// A program that is no kernel for the virtual engine.
    #[error("{path} is no User-Mode Linux kernel: {why}", path = path.display())]
    NotKernel {
        /// The program.
        path: PathBuf,
        /// What it did instead.
        why: String,
    },
    /// A kernel whose configuration lacks what the engine cannot do without.
    #[error("{what} lacks what the virtual engine cannot do without: expected {}", symbols.join(", "))]
    Lacking {
        /// Which kernel or source.
        what: String,
        /// The symbols, as they would have to be.
        symbols: Vec<String>,
    },
}

impl KernelError {
    /// Whether the command line is wrong, rather than the environment lacking something.
    pub fn is_input(&self) -> bool {
        match self {
            Self::NoVersion(_)
            | Self::Ambiguous { .. }
            | Self::NotSource { .. }
            | Self::NotKernel { .. }
            | Self::Lacking { .. } => true,
            Self::NoCache
            | Self::File { .. }
            | Self::None { .. }
            | Self::NotHere { .. }
            | Self::NoSource(_)
            | Self::MissingTools(_)
            | Self::NoSpace { .. }
            | Self::Failed { .. } => false,
        }
    }

    /// For `map_err` on what touches this path.
    pub(super) fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::File { path, source }
    }
}

fn last_words(said: &[String]) -> String {
    if said.is_empty() { String::new() } else { format!(":\n\n  {}", said.join("\n  ")) }
}
