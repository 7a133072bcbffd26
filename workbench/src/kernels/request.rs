//! What is asked of a build, and what it tells while it goes on. Plain values.

use std::path::PathBuf;

/// What to build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// A kernel's source: tree, tarball, or Debian package with a tarball in it.
    pub source: Option<PathBuf>,
    /// A suite of the machine's distribution, from which to fetch the newest source.
    pub suite: Option<String>,
    /// Ticks a second; this machine's own where it is not said.
    pub hz: Option<u64>,
    /// How many compilers at a time; one for each core where it is not said.
    pub jobs: Option<usize>,
}

/// What happens in a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Another part of the work begins, with what it is about.
    Phase(Phase, String),
    /// So many objects are compiled.
    Compiled(u64),
    /// Something to know that is no error.
    Note(String),
}

/// The parts of a build, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Fetching the source.
    Downloading,
    /// Taking it out of its archive.
    Unpacking,
    /// From the fragment to a `.config`.
    Configuring,
    /// The long part.
    Compiling,
    /// Making one program of it.
    Linking,
}

impl Phase {
    /// `downloading`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Downloading => "downloading",
            Self::Unpacking => "unpacking",
            Self::Configuring => "configuring",
            Self::Compiling => "compiling",
            Self::Linking => "linking",
        }
    }
}
