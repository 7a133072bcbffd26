//! How far each socket program has come: memory that all of them and the agent share. Nothing in it is a call that the
//! tracer would record.

use std::io;

use crate::plan::{Cause, ProgramPlan};
use crate::sys::board::Board;

/// Words of a step: when it began, when it was done, its errno, its value, and its flag.
const WORDS: usize = 5;
const BEGAN: usize = 0;
const DONE: usize = 1;
const ERRNO: usize = 2;
const VALUE: usize = 3;
const FLAG: usize = 4;

/// A flag: what is waited for has come.
const COME: i64 = 1;
/// A flag: it never will.
const GONE: i64 = 2;

/// Stands where an errno would: what a step waits for will never come.
pub const NEVER: i64 = -1;

/// What came of a step: a value or an errno, or [`NEVER`].
pub type Result = std::result::Result<i64, i64>;

/// The progress of all programs of a plan.
#[derive(Debug)]
pub struct Progress {
    board: Board,
    /// Where each program's steps begin.
    first: Vec<usize>,
}

impl Progress {
    /// Of these programs, none of which has begun.
    ///
    /// # Errors
    ///
    /// The kernel's, if there is no memory to share.
    pub fn new(programs: &[ProgramPlan]) -> io::Result<Self> {
        let mut steps = 0;
        let first = programs.iter().map(|program| {
            steps += program.steps.len();
            steps - program.steps.len()
        });
        let first = first.collect();
        Ok(Self { board: Board::new(steps * WORDS)?, first })
    }

    fn at(&self, program: usize, step: usize, word: usize) -> usize {
        (self.first[program] + step) * WORDS + word
    }

    /// A step begins.
    pub fn begin(&self, program: usize, step: usize, now_ns: i64) {
        self.board.set(self.at(program, step, BEGAN), now_ns);
    }

    /// A step is done.
    pub fn done(&self, program: usize, step: usize, now_ns: i64, result: Result) {
        self.board.set(self.at(program, step, VALUE), result.unwrap_or(0));
        self.board.set(self.at(program, step, ERRNO), result.err().unwrap_or(0));
        self.board.set(self.at(program, step, DONE), now_ns);
    }

    /// When a step began.
    pub fn began_ns(&self, program: usize, step: usize) -> Option<i64> {
        Some(self.board.get(self.at(program, step, BEGAN))).filter(|ns| *ns != 0)
    }

    /// When a step was done, and what came of it.
    pub fn result(&self, program: usize, step: usize) -> Option<(i64, Result)> {
        let done_ns = Some(self.board.get(self.at(program, step, DONE))).filter(|ns| *ns != 0)?;
        let result = match self.board.get(self.at(program, step, ERRNO)) {
            0 => Ok(self.board.get(self.at(program, step, VALUE))),
            errno => Err(errno),
        };
        Some((done_ns, result))
    }

    /// What a step stands for, or waits for, has come.
    pub fn raise(&self, program: usize, step: usize) {
        self.board.raise(self.at(program, step, FLAG), COME);
    }

    /// It never will, if it has not come yet.
    pub fn give_up(&self, program: usize, step: usize) {
        self.board.raise(self.at(program, step, FLAG), GONE);
    }

    /// Whether it has come.
    pub fn has_come(&self, program: usize, step: usize) -> bool {
        self.board.get(self.at(program, step, FLAG)) == COME
    }

    /// Waits until it has come, or is known never to.
    pub(super) fn wait(&self, program: usize, step: usize) -> Result {
        if self.board.wait(self.at(program, step, FLAG)) == COME { Ok(0) } else { Err(NEVER) }
    }

    /// Where the flag is that a waiting step waits for: another program's, or its own, which the agent raises.
    pub(super) fn flag_of(programs: &[ProgramPlan], own: (usize, usize), cause: &Cause) -> (usize, usize) {
        let Cause::Step { program, step } = cause else { return own };
        let other = programs.iter().position(|other| other.name == *program);
        other.and_then(|at| Some((at, programs[at].named_step(step)?))).unwrap_or(own)
    }
}
