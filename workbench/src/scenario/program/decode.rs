//! `program`: its name, its host, and its steps one after the other, with the sockets that are there at each.

use std::collections::BTreeMap;

use kdl::KdlNode;
use miette::SourceSpan;

use super::model::{Program, SocketKind};
use super::step;
use crate::scenario::error::{Problem, quoted};
use crate::scenario::fields::Fields;
use crate::scenario::span::Spanned;
use crate::scenario::suggest::did_you_mean;
use crate::scenario::value::{Reading, Value};

const REMEDY: &str = "program server in=server { … }";

/// One program. What could not be read in it is left out, and then there is a problem with it.
pub(in crate::scenario) fn program(node: &KdlNode, problems: &mut Vec<Problem>) -> Program {
    let mut fields = Fields::new(node, problems);
    let span = fields.span();
    let name = fields.required_argument("a name", REMEDY, |value| value.name("-_", 64));
    let host = fields.required("in", || format!("name the host it runs in: {REMEDY}"), |v| v.text().map(str::to_owned));
    let mut sockets = Sockets::default();
    let steps: Vec<_> =
        fields.children().iter().filter_map(|child| step::step(child, &mut sockets, fields.problems())).collect();
    if fields.children().is_empty() {
        fields.problem(
            Problem::new("a program without steps does nothing")
                .help("its calls stand in its block, in order: `socket s tcp`, `connect s server 80`, …"),
        );
    }
    fields.finish();
    Program {
        name: name.unwrap_or_else(|| Spanned::new(String::new(), span)),
        host: host.unwrap_or_else(|| Spanned::new(String::new(), span)),
        steps,
        sockets: sockets.known.len(),
        span,
    }
}

/// The sockets of a program, as far as it has come.
#[derive(Default)]
pub(super) struct Sockets {
    known: BTreeMap<String, Socket>,
}

#[derive(Clone, Copy)]
struct Socket {
    index: usize,
    kind: SocketKind,
    made: SourceSpan,
    closed: Option<SourceSpan>,
}

impl Sockets {
    /// A socket is made. Its name may be one that was closed.
    pub(super) fn make(&mut self, name: &Spanned<String>, kind: SocketKind) -> Result<usize, Problem> {
        let next = self.known.len();
        let index = match self.known.get(&name.value) {
            Some(Socket { closed: None, made, .. }) => {
                return Err(Problem::new(format!("the socket {} is there already", quoted(&name.value)))
                    .at(name.span)
                    .label("again")
                    .also(*made, "made here")
                    .help("close it first, or give the new one another name"));
            }
            Some(closed) => closed.index,
            None => next,
        };
        self.known.insert(name.value.clone(), Socket { index, kind, made: name.span, closed: None });
        Ok(index)
    }

    /// A socket that is there.
    pub(super) fn find(&self, name: &Spanned<String>) -> Result<(usize, SocketKind), Problem> {
        let names: Vec<&str> = self.known.keys().map(String::as_str).collect();
        match self.known.get(&name.value) {
            Some(Socket { closed: Some(closed), .. }) => {
                Err(Problem::new(format!("the socket {} is closed", quoted(&name.value)))
                    .at(name.span)
                    .label("used after that")
                    .also(*closed, "closed here")
                    .help("move the close below, or make the socket again: `socket s tcp`"))
            }
            Some(socket) => Ok((socket.index, socket.kind)),
            None => {
                let help = format!("make it before: `socket {} tcp`", name.value);
                Err(Problem::new(format!("no socket is called {} yet", quoted(&name.value)))
                    .at(name.span)
                    .label("not made")
                    .help(if names.is_empty() {
                        help.clone()
                    } else {
                        did_you_mean(&name.value, &names).filter(|h| h.starts_with("did")).unwrap_or(help)
                    }))
            }
        }
    }

    /// A socket is closed.
    pub(super) fn close(&mut self, name: &Spanned<String>) -> Result<usize, Problem> {
        let (index, _) = self.find(name)?;
        if let Some(socket) = self.known.get_mut(&name.value) {
            socket.closed = Some(name.span);
        }
        Ok(index)
    }
}

/// The name of a socket or a step.
pub(super) fn own_name(value: Value<'_>) -> Reading<String> {
    value.name("-_", 32)
}
