//! The ways to look at one run, each a pure function of its evidence: text for people, or a file for another program.

use std::io;

use super::json::RunReport;
use super::junit::{Case, Junit};
use super::text::{self, Options};
use super::{SnapshotStatus, daemons, diagram, events, listing, pcapng, sockets, trace};
use crate::evidence::Evidence;
use crate::timeline::Timeline;
use crate::verdict::Verdict;

/// A run and all that is known about it.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// What was seen.
    pub evidence: &'a Evidence,
    /// Its story.
    pub timeline: &'a Timeline,
    /// What ended it.
    pub verdict: &'a Verdict,
}

impl Run<'_> {
    /// What happened, in order.
    pub fn timeline(&self, options: Options) -> String {
        text::render(self.evidence, self.timeline, self.verdict, options)
    }

    /// TCP sockets as `ss -tanoi` and `netstat -antpo` print them.
    pub fn sockets(&self, options: Options) -> String {
        sockets::render(self.evidence, self.timeline, options)
    }

    /// The daemons, and what they wrote.
    pub fn daemons(&self, options: Options) -> String {
        daemons::render(self.evidence, self.timeline, options)
    }

    /// A sequence diagram of the hosts, at most 80 columns wide.
    pub fn diagram(&self, options: Options) -> String {
        diagram::render(self, options)
    }

    /// The same as a picture: SVG, for light and dark pages.
    pub fn picture(&self) -> String {
        diagram::svg(self)
    }

    /// System calls as strace lists them.
    pub fn calls(&self) -> String {
        listing(self.evidence)
    }

    /// Packets as pcapng, with what became of each and what the verdict rests on as comments.
    ///
    /// # Errors
    /// None but those of memory: nothing is written anywhere.
    pub fn packets(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        pcapng::write_run(self, &mut bytes)?;
        Ok(bytes)
    }

    /// A trace for ui.perfetto.dev and chrome://tracing.
    ///
    /// # Errors
    /// None but those of memory.
    pub fn trace(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        trace::write(self, &mut bytes)?;
        Ok(bytes)
    }

    /// Every record of every recorder, one line of JSON each.
    ///
    /// # Errors
    /// None but those of memory.
    pub fn events(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        events::write(self, &mut bytes)?;
        Ok(bytes)
    }

    /// JUnit XML of this run alone.
    ///
    /// # Errors
    /// None: a report is plain data.
    pub fn junit(&self, snapshot: SnapshotStatus) -> io::Result<Vec<u8>> {
        let report = RunReport::new(self.evidence, self.timeline, self.verdict, snapshot);
        let told = self.timeline(Options::KEPT);
        let mut junit = Junit::default();
        let file = &self.evidence.plan.file;
        junit.add(Case { report: &report, file, label: None, repeat: None, told: &told });
        junit.render()
    }

    /// The report as one line of JSON.
    ///
    /// # Errors
    /// None: a report is plain data.
    pub fn json(&self, snapshot: SnapshotStatus) -> serde_json::Result<String> {
        RunReport::new(self.evidence, self.timeline, self.verdict, snapshot).to_line()
    }
}
