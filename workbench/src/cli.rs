//! The command line's types, from which help, completions and man pages are made. They decide nothing.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

mod kernel;
mod show;

use self::kernel::KERNEL_EXAMPLES;
pub use self::kernel::{KernelBuildArgs, KernelCommand};
use self::show::SHOW_EXAMPLES;
pub use self::show::{ShowArgs, TextView, View};

const EXIT_CODES: &str = "\
Exit codes:
  0  everything agrees
  1  something differs, an expectation fails, or (with CI set) a snapshot is
     missing
  2  the scenario or the command line is wrong
  3  the environment lacks what is needed, or every run was skipped
  4  inconclusive: the machine stalled, or a recorder lost something
  130  interrupted (SIGINT, SIGTERM, SIGHUP); the labs are gone";

/// What ends a network operation, after how long, and which timer did it?
#[derive(Debug, Parser)]
#[command(name = "workbench", version, about, after_help = EXIT_CODES)]
pub struct Cli {
    /// When to use colours.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: When,
    /// The same as `--color never`.
    #[arg(long, global = true, conflicts_with = "color")]
    pub no_color: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run scenarios and hold them against their snapshots.
    Run(RunArgs),
    /// Run scenarios on several kernels in virtual time and show the results side by side.
    Compare(CompareArgs),
    /// Check scenarios without building anything; needs no privileges.
    Check {
        /// Scenario files or folders of them.
        #[arg(required = true, value_name = "FILE|DIR")]
        paths: Vec<PathBuf>,
    },
    /// Print what would be built.
    Plan {
        /// Scenario file.
        file: PathBuf,
        /// As text for people or JSON for programs.
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Format scenarios in place.
    Fmt {
        /// Scenario files or folders of them.
        #[arg(required = true, value_name = "FILE|DIR")]
        paths: Vec<PathBuf>,
        /// Change nothing; exit 1 and name the files that would change.
        #[arg(long)]
        check: bool,
    },
    /// Timeline and verdict of kept evidence; needs no privileges.
    Judge {
        /// `evidence.json` of an earlier run, or the folder that holds it.
        evidence: PathBuf,
        /// As text for people or JSON for programs.
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Look at a kept run again: its timeline, a sequence diagram, its sockets, or as a file for another program.
    #[command(after_help = SHOW_EXAMPLES)]
    Show(ShowArgs),
    /// Go through pending snapshots one by one.
    Review {
        /// Folder to look in.
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Accept pending snapshots.
    Accept {
        /// Pending files (`….snap.new`) or folders to look in.
        #[arg(default_value = ".")]
        paths: Vec<PathBuf>,
    },
    /// Say what this machine has, what it lacks, and what each missing thing is needed for.
    Doctor {
        /// Install what packages can supply.
        #[arg(long)]
        fix: bool,
        /// Look for what the project's own tests need as well.
        #[arg(long)]
        tests: bool,
        /// Report from inside fresh namespaces, for the doctor itself.
        #[arg(long, hide = true, value_name = "STAGE")]
        probe: Option<String>,
    },
    /// Kernels for the virtual engine: build, list, add, remove, show.
    #[command(subcommand, after_help = KERNEL_EXAMPLES)]
    Kernel(KernelCommand),
    /// Print shell completions.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Write man pages into a folder.
    Man {
        /// Where to.
        dir: PathBuf,
    },
    /// Be process 1 of a virtual machine. Its kernel starts this.
    #[command(hide = true)]
    Guest {
        /// The kernel adds the rest of its command line, and UML always adds `root=` and `console=`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Carry out one order in a virtual machine, as the virtual engine asks on standard input.
    #[command(hide = true)]
    Launch,
    /// Carry out one job inside a lab. The engines start this.
    #[command(hide = true)]
    Agent {
        /// Process that must outlive this one.
        #[arg(long)]
        parent: i32,
    },
}

/// As text or JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs: one object a run and line, see docs/report.md.
    Json,
}

const RUN_EXAMPLES: &str = "\
Examples:
  workbench run scenarios/syn-retries-0.kdl
  workbench run scenarios --jobs 8          every scenario below a folder
  workbench run scenarios --tag quick       only those tagged quick
  workbench run x.kdl --no-snapshot         look, compare with nothing
  workbench run x.kdl --accept              this is how it should be
  workbench run x.kdl --artifacts out       keep evidence, packets, calls, trace
  workbench run x.kdl --show sockets        what ss and netstat would have said
  workbench run x.kdl --show timeline --show diagram
  workbench run x.kdl --repeat 50 --format json
                                            one line of JSON for each run
  workbench run x.kdl --engine virtual      minutes of waiting in no time
  workbench run x.kdl --engine virtual --horizon 30d
                                            does it ever end? Waits 30 days
  workbench run x.kdl --engine virtual --phases 64
                                            the range of every wait that the
                                            kernel's timer wheel allows";

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EngineChoice {
    /// This machine's kernel, in real time.
    Host,
    /// User-Mode Linux with time travel: when everybody waits, the clock jumps.
    Virtual,
}

/// A length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duration {
    /// In nanoseconds.
    pub ns: u64,
}

impl std::str::FromStr for Duration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        crate::scenario::parse_duration(text).map(|ns| Self { ns })
    }
}

fn longer_than_nothing(text: &str) -> Result<Duration, String> {
    match text.parse::<Duration>()? {
        Duration { ns: 0 } => Err("expected a length of time, found nothing; 30d, or 10s".to_owned()),
        duration => Ok(duration),
    }
}

/// Arguments of the virtual engine. None of them means anything on the host.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Virtual engine")]
pub struct VirtualArgs {
    /// Kernel: a version (`6.12`, `6.12@1000` for one with HZ=1000), or `all`. The newest unless given; `workbench kernel
    /// list` shows them.
    #[arg(long, value_name = "VERSION", value_delimiter = ',')]
    pub kernel: Vec<String>,
    /// Where all randomness comes from.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// How long to wait for a command to end, in place of every deadline. Without it a deadline that the scenario gives
    /// is kept, and where it gives none the horizon is 1d. A day of waiting takes about 0.3 s.
    #[arg(long, value_name = "DURATION", value_parser = longer_than_nothing)]
    pub horizon: Option<Duration>,
    /// How far into the cycle of the kernel's timer wheel (131.072 s at HZ=250) the command is let go.
    #[arg(long, value_name = "DURATION", conflicts_with = "phases")]
    pub phase: Option<Duration>,
    /// Repeat each run at this many phases, spread evenly over the step of its longest timer, and report the range of
    /// every wait.
    #[arg(long, value_name = "N", conflicts_with = "repeat", value_parser = clap::value_parser!(u32).range(2..=4096))]
    pub phases: Option<u32>,
    /// How much processor time the programs of a run may use together, and the kernel for them; 120s unless given. Then it is run again with time
    /// that goes on while they compute, and given up if that does not end it.
    #[arg(long, value_name = "DURATION", value_parser = longer_than_nothing)]
    pub compute: Option<Duration>,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub struct RunArgs {
    /// Scenario files or folders of them.
    #[arg(required = true, value_name = "FILE|DIR")]
    pub paths: Vec<PathBuf>,
    /// Only runs of this name.
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// Only scenarios with this tag.
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
    /// How many labs at a time. On the host they mostly wait: four for each core unless given. In virtual time they never
    /// do: one for each core.
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Run each this many times.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: u32,
    /// As text for people or JSON for programs.
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
    /// Keep evidence.json, timeline.txt, packets.pcapng, trace.json, calls.strace and the output of each run below this folder.
    #[arg(long, value_name = "DIR")]
    pub artifacts: Option<PathBuf>,
    /// Write JUnit XML of all runs into this file, also when runs fail.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Where to run: on this machine's kernel in real time, or on a kernel of its own in virtual time.
    #[arg(long, value_enum, default_value = "host")]
    pub engine: EngineChoice,
    /// Compare with no snapshot and write none.
    #[arg(long, conflicts_with = "accept")]
    pub no_snapshot: bool,
    /// Take what is seen as the new snapshot, where it is new or differs.
    #[arg(long)]
    pub accept: bool,
    /// A run that this machine cannot do is an error (exit 3), not skipped.
    #[arg(long)]
    pub deny_skips: bool,
    /// Write nothing and treat a missing snapshot as a difference.
    #[arg(long, env = "CI", value_parser = clap::builder::FalseyValueParser::new(), hide = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", default_value = "false")]
    pub ci: bool,
    /// Tell every run's timeline, with all system calls. Without it: claims only, and of many files only what differs.
    #[arg(long, short)]
    pub verbose: bool,
    /// Print this instead of the timeline, for every run. May be given several times.
    #[arg(long, value_enum, value_name = "VIEW")]
    pub show: Vec<TextView>,
    /// How the virtual engine goes about it.
    #[command(flatten)]
    pub virtual_time: VirtualArgs,
}

const COMPARE_EXAMPLES: &str = "\
Examples:
  workbench compare scenarios               every scenario on every kernel here
  workbench compare scenarios/syn/no-such-host.kdl --kernel 6.1,6.12
  workbench compare scenarios --tag quick --format json
                                            one line of JSON for each run

Exit codes: 0 if the scenarios account for every difference (`differs`), 1 if
one is unmarked; the others as always.";

/// Arguments of `compare`.
#[derive(Debug, Args)]
#[command(after_help = COMPARE_EXAMPLES)]
pub struct CompareArgs {
    /// Scenario files or folders of them.
    #[arg(required = true, value_name = "FILE|DIR")]
    pub paths: Vec<PathBuf>,
    /// Only runs of this name.
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// Only scenarios with this tag.
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
    /// Kernels: versions (`6.12`, `6.12@1000` for one with HZ=1000), or `all`; `workbench kernel list` shows them.
    #[arg(long, value_name = "VERSION", value_delimiter = ',', default_value = "all")]
    pub kernel: Vec<String>,
    /// Where all randomness comes from.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// How long to wait for a command to end, in place of every deadline.
    #[arg(long, value_name = "DURATION", value_parser = longer_than_nothing)]
    pub horizon: Option<Duration>,
    /// How many at a time; one for each core unless given.
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// As text for people or JSON for programs.
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}
