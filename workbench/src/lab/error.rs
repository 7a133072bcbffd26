//! What can go wrong while a lab is built, each with the place in the scenario that asked for it.
//!
//! It words the errors; which exit code they lead to is the caller's business.

use std::io;

use nix::errno::Errno;
use thiserror::Error;

use crate::plan::Origin;

/// Why a lab could not be built, or not be read.
#[derive(Debug, Error)]
pub enum LabError {
    /// The kernel refused something that the plan asks for.
    #[error("{at}: {asked}: the kernel refuses: {kernel}")]
    Refused {
        /// Host, or link name.
        at: String,
        /// What was asked for, as the field writes it: `net.ipv4.tcp_syn_retries = 0`, `route 10.0.0.0/8 via 10.1.0.2`.
        asked: String,
        /// The errno's name, with the extended ack's text where the kernel sent one.
        kernel: String,
        /// Where the scenario asks for it.
        origin: Box<Origin>,
    },
    /// This kernel lacks a feature that the plan needs: the run cannot take place here.
    #[error("{feature} is not available: {why}; {remedy}")]
    Unsupported {
        /// What is missing: `netem`, `kernel 6.5`, `net.ipv4.tcp_rto_max_ms`.
        feature: String,
        /// How we know: the kernel's own words where it said any.
        why: String,
        /// What would run it.
        remedy: String,
        /// Where the scenario asks for it.
        origin: Box<Origin>,
    },
    /// The plan contradicts itself; the planner should have seen it.
    #[error("the plan does not hold together: {what}")]
    Plan {
        /// What was expected and what was found.
        what: String,
        /// Where in the scenario.
        origin: Box<Origin>,
    },
    /// This machine would not let the lab be built: no permission, no memory, no `/proc`.
    #[error("{doing}: {source}")]
    Machine {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
}

impl LabError {
    /// For `map_err`: wraps what the system said with what was being done.
    pub(super) fn machine<E: Into<io::Error>>(doing: impl Into<String>) -> impl FnOnce(E) -> Self {
        let doing = doing.into();
        move |source| Self::Machine { doing, source: source.into() }
    }
}

/// Who asked for something, and what, so that a refusal can be reported where it belongs.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    /// Host, or link name.
    pub at: String,
    /// What, as the field writes it.
    pub asked: String,
    /// Where the scenario asks for it.
    pub origin: Box<Origin>,
}

impl Ask {
    pub fn new(at: &str, asked: impl Into<String>, origin: &Origin) -> Self {
        Self { at: at.to_owned(), asked: asked.into(), origin: Box::new(origin.clone()) }
    }
}

/// What the kernel said instead of doing what was asked.
#[derive(Debug)]
pub(super) struct Refusal {
    /// What it refused.
    pub ask: Ask,
    /// Why, as a number.
    pub errno: Errno,
    /// Why, in words, if it sent any (NLMSGERR_ATTR_MSG, netlink(7)).
    pub text: Option<String>,
}

impl Refusal {
    /// `ENOENT: Specified qdisc kind is unknown`, or `EINVAL`.
    pub fn kernel(&self) -> String {
        match &self.text {
            Some(text) => format!("{}: {text}", errno_name(self.errno)),
            None => errno_name(self.errno),
        }
    }
}

impl From<Refusal> for LabError {
    fn from(refusal: Refusal) -> Self {
        let kernel = refusal.kernel();
        let Ask { at, asked, origin } = refusal.ask;
        Self::Refused { at, asked, kernel, origin }
    }
}

/// `EINVAL`.
pub(super) fn errno_name(errno: Errno) -> String {
    format!("{errno:?}")
}
