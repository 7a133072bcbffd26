//! The command line of `workbench show`, and the views that `run --show` knows too. Decides nothing.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

pub(super) const SHOW_EXAMPLES: &str = "\
Examples, of a run that `run x.kdl --artifacts out` has kept:
  workbench show out/x/curl                 the timeline
  workbench show out/x/curl diagram         the hosts side by side
  workbench show out/x/curl diagram --output x.svg
                                            the same as a picture
  workbench show out/x/curl sockets         what ss and netstat would have said
  workbench show evidence.json trace --output x.trace.json
                                            for ui.perfetto.dev";

/// Arguments of `show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// `evidence.json` of an earlier run, or the folder that holds it.
    #[arg(value_name = "DIR|FILE")]
    pub evidence: PathBuf,
    /// What to show.
    #[arg(value_enum, default_value = "timeline")]
    pub view: View,
    /// Write it here instead of printing it.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Of sockets, tell every sample and not only those where something changed.
    #[arg(long, short)]
    pub verbose: bool,
}

/// The ways to look at a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum View {
    /// What happened, in order, with every wait and what armed it.
    Timeline,
    /// A sequence diagram of the hosts.
    Diagram,
    /// TCP sockets as `ss -tanoi` and `netstat -antpo` print them, at the moments that matter.
    Sockets,
    /// System calls as `strace -f -ttt -T` prints them.
    Calls,
    /// Daemons: when each was ready, how it ended, and what it wrote.
    Daemons,
    /// Packets as pcapng, with what the verdict rests on as comments.
    Packets,
    /// A trace for ui.perfetto.dev and chrome://tracing.
    Trace,
    /// JUnit XML.
    Junit,
    /// The report as one line of JSON.
    Json,
    /// Every record of every recorder on one clock, one line of JSON each.
    Events,
}

/// The ways to look at a run that are text for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TextView {
    /// What happened, in order, with every wait and what armed it.
    Timeline,
    /// A sequence diagram of the hosts.
    Diagram,
    /// TCP sockets as `ss -tanoi` and `netstat -antpo` print them, at the moments that matter.
    Sockets,
    /// System calls as `strace -f -ttt -T` prints them.
    Calls,
    /// Daemons: when each was ready, how it ended, and what it wrote.
    Daemons,
}

impl From<TextView> for View {
    fn from(view: TextView) -> Self {
        match view {
            TextView::Timeline => Self::Timeline,
            TextView::Diagram => Self::Diagram,
            TextView::Sockets => Self::Sockets,
            TextView::Calls => Self::Calls,
            TextView::Daemons => Self::Daemons,
        }
    }
}
