//! `workbench kernel` on the command line. It decides nothing.

use std::path::PathBuf;

use clap::{Args, Subcommand};

pub(super) const KERNEL_EXAMPLES: &str = "\
Examples:
  workbench kernel build                    from this machine's package source
  workbench kernel build --suite bullseye   Linux 5.10; bookworm 6.1, trixie
                                            6.12, sid the newest
  workbench kernel build --hz 1000          as distributions for desktops tick
  workbench kernel build --source ~/linux   your own tree, which is only read
  workbench kernel list
  workbench kernel show 6.12.117@250
  workbench kernel remove 6.12.117@250";

/// What to do with kernels.
#[derive(Debug, Subcommand)]
pub enum KernelCommand {
    /// Build one: User-Mode Linux with time travel. Needs no root; takes about 5 minutes.
    #[command(after_help = KERNEL_EXAMPLES)]
    Build(KernelBuildArgs),
    /// List the kernels that are here.
    List,
    /// Take in a User-Mode Linux kernel that was built elsewhere.
    Add {
        /// The program, `linux` of a build with ARCH=um and time travel.
        path: PathBuf,
    },
    /// Remove one.
    Remove {
        /// Its name as `list` prints it, or its folder's.
        name: String,
    },
    /// Print everything known about one.
    Show {
        /// Its name as `list` prints it, or its folder's; without it, the one that a run gets.
        name: Option<String>,
    },
}

/// Arguments of `kernel build`.
#[derive(Debug, Args)]
pub struct KernelBuildArgs {
    /// The kernel's source: a tree, a tarball, or a package linux-source-N.M.
    #[arg(long, value_name = "TREE|TARBALL|DEB", conflicts_with = "suite")]
    pub source: Option<PathBuf>,
    /// Fetch the newest source of this suite of the distribution through apt, leaving the machine's own sources alone.
    #[arg(long, value_name = "SUITE")]
    pub suite: Option<String>,
    /// Ticks a second. Without it: as many as this machine's own kernel.
    #[arg(long, value_name = "HZ", value_parser = ["100", "250", "300", "1000"])]
    pub hz: Option<String>,
    /// How many compilers at a time. Without it: one for each core.
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
}
