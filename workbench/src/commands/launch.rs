//! `workbench launch`: the outside of a virtual machine. An order comes in on standard input, its outcome leaves on
//! standard output.

use std::io::{self, BufRead, Write};
use std::os::fd::AsFd;

use crate::engine::{self, Order};
use crate::exit_code;

/// Reads an order, one line, and carries it out for as long as standard input stays open.
pub fn launch() -> u8 {
    let mut line = Vec::new();
    let order: Order = match io::stdin().lock().read_until(b'\n', &mut line).map(|_| serde_json::from_slice(&line)) {
        Ok(Ok(order)) => order,
        Ok(Err(e)) => return fail(&format!("this is not an order: {e}")),
        Err(e) => return fail(&format!("cannot read the order: {e}")),
    };
    let outcome = engine::launch(order, io::stdin().as_fd());
    let mut line = match serde_json::to_vec(&outcome) {
        Ok(line) => line,
        Err(e) => return fail(&format!("cannot write the outcome: {e}")),
    };
    line.push(b'\n');
    match io::stdout().write_all(&line).and_then(|()| io::stdout().flush()) {
        Ok(()) => exit_code::AGREES,
        Err(e) => fail(&format!("cannot write the outcome: {e}")),
    }
}

fn fail(why: &str) -> u8 {
    eprintln!("workbench launch: {why}");
    exit_code::ENVIRONMENT
}
