//! `workbench show`: looks at a kept run again, in one of several ways. No privileges, no engine, milliseconds.

use std::path::Path;

use super::check::wrong;
use super::output;
use super::run::read_evidence;
use super::terminal::{Terminal, say_bytes};
use crate::cli::{ShowArgs, View};
use crate::report::SnapshotStatus;
use crate::report::text::Options;
use crate::report::views::Run;
use crate::{exit_code, timeline, verdict};

/// Shows it.
pub fn show(args: &ShowArgs, terminal: Terminal) -> u8 {
    let evidence = match read_evidence(&args.evidence) {
        Ok(evidence) => evidence,
        Err(e) => return wrong(&format!("{}: {e}", args.evidence.display())),
    };
    let timeline = timeline::build(&evidence);
    let verdict = verdict::judge(&evidence, &timeline);
    let run = Run { evidence: &evidence, timeline: &timeline, verdict: &verdict };
    if args.view == View::Diagram && is_picture(args.output.as_deref()) {
        return put(run.picture().as_bytes(), args.output.as_deref());
    }
    // A file is no terminal.
    let options = if args.output.is_some() { Options::KEPT } else { terminal.options() };
    // A run has hundreds of samples of its sockets; the other views are short enough to be told in full.
    let details = args.verbose || args.view != View::Sockets;
    match view(args.view, &run, Options { details, ..options }) {
        Ok(bytes) => put(&bytes, args.output.as_deref()),
        Err(e) => wrong(&e),
    }
}

/// Whether a file's name asks for a picture.
fn is_picture(output: Option<&Path>) -> bool {
    output.and_then(Path::extension).is_some_and(|extension| extension.eq_ignore_ascii_case("svg"))
}

/// A view's bytes; text ends with a line feed.
pub fn view(view: View, run: &Run<'_>, options: Options) -> std::io::Result<Vec<u8>> {
    Ok(match view {
        View::Timeline => run.timeline(options).into_bytes(),
        View::Sockets => run.sockets(options).into_bytes(),
        View::Calls => run.calls().into_bytes(),
        View::Daemons => run.daemons(options).into_bytes(),
        View::Packets => run.packets()?,
        View::Json => (run.json(SnapshotStatus::None)? + "\n").into_bytes(),
        View::Diagram => run.diagram(options).into_bytes(),
        View::Trace => run.trace()?,
        View::Events => run.events()?,
        View::Junit => run.junit(SnapshotStatus::None)?,
    })
}

fn put(bytes: &[u8], output: Option<&Path>) -> u8 {
    match output {
        None => say_bytes(bytes),
        Some(path) => {
            if let Err(e) = output::write(path, bytes) {
                return wrong(&format!("{}: {e}", path.display()));
            }
        }
    }
    exit_code::AGREES
}
