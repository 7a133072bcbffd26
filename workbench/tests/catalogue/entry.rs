//! One mechanism of the catalogue: the network, the command that arms it, what has to be seen, what the verdict must say.
//! What is in the catalogue stands in the tables next door.

/// A way to end a wait, brought about once.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Names the trials: `catalogue_virtual_NAME`.
    pub name: &'static str,
    /// Hosts and links, in KDL; the command runs in `client`.
    pub network: &'static str,
    /// The command's words; `mechanisms` stands for the compiled program.
    pub command: &'static str,
    /// Properties of the run.
    pub run: &'static str,
    /// When the command has ended, seconds: from, to.
    pub ends_s: (f64, f64),
    /// What has to be in the evidence, whatever the verdict.
    pub proof: &'static [Proof],
    /// Who ended it, as the report names the party.
    pub party: &'static str,
    /// By what, as the report names it.
    pub mechanism: &'static str,
    /// What may have been first in place of that, where a program waits in two ways until the same moment.
    pub or: Option<&'static str>,
    /// For how long it was armed.
    pub armed_for: Armed,
    /// The process that armed it, where that is the question.
    pub who: Option<&'static str>,
    /// Where it can be run.
    pub engines: Engines,
}

/// What has to be in the evidence.
#[derive(Debug, Clone, Copy)]
pub enum Proof {
    /// A call of this name, this text in its line.
    Call(&'static str, &'static str),
    /// A signal of this name was delivered.
    Signal(&'static str),
    /// This text in the program's output.
    Output(&'static str),
    /// This text in an event of the timeline.
    Event(&'static str),
}

/// How long a timer was armed for.
#[derive(Debug, Clone, Copy)]
pub enum Armed {
    /// No timer did it.
    No,
    /// What the program said, seconds: exactly.
    For(f64),
    /// A deadline that a program works out by the clock, seconds: so many within 10 ms, because reading takes time.
    About(f64),
    /// What the kernel makes of it, seconds: from, to.
    Within(f64, f64),
}

/// Where an entry can be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engines {
    /// In virtual time and on this machine's kernel.
    Both,
    /// In virtual time only: it takes long, or hangs on a kernel's own version.
    VirtualOnly,
}

impl Entry {
    /// An entry that says nothing yet of what comes of it.
    pub const fn new(name: &'static str, network: &'static str, command: &'static str) -> Self {
        Self {
            name,
            network,
            command,
            run: "",
            ends_s: (0.0, 0.2),
            proof: &[],
            party: "tool",
            mechanism: name,
            or: None,
            armed_for: Armed::No,
            who: None,
            engines: Engines::Both,
        }
    }

    /// With these properties of the run.
    pub const fn run(self, run: &'static str) -> Self {
        Self { run, ..self }
    }

    /// The command has ended by then.
    pub const fn ends(self, from_s: f64, to_s: f64) -> Self {
        Self { ends_s: (from_s, to_s), ..self }
    }

    /// All of this has to be seen.
    pub const fn seen(self, proof: &'static [Proof]) -> Self {
        Self { proof, ..self }
    }

    /// The verdict.
    pub const fn by(self, party: &'static str, mechanism: &'static str) -> Self {
        Self { party, mechanism, ..self }
    }

    /// Or this, if it was first.
    pub const fn or(self, mechanism: &'static str) -> Self {
        Self { or: Some(mechanism), ..self }
    }

    /// Its timer.
    pub const fn armed(self, armed_for: Armed) -> Self {
        Self { armed_for, ..self }
    }

    /// Whose it is.
    pub const fn who(self, who: &'static str) -> Self {
        Self { who: Some(who), ..self }
    }

    /// In virtual time only.
    pub const fn virtual_only(self) -> Self {
        Self { engines: Engines::VirtualOnly, ..self }
    }

    /// The scenario; `program` gives the file that a word of the command stands for.
    pub fn scenario(&self, program: impl Fn(&str) -> Option<String>) -> String {
        let word = |word: &str| format!("{:?}", program(word).as_deref().unwrap_or(word));
        let command: Vec<String> = self.command.split_whitespace().map(word).collect();
        format!("{}\nrun run in=client {} {}\n", self.network, command.join(" "), self.run)
    }
}
