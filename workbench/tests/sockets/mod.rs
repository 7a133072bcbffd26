//! The socket recorder in labs: its samples against ss(8), sockets' ends, what a long run costs, counters.

use libtest_mimic::Trial;

mod agreement;
mod listing;
mod lives;

pub fn trials() -> Vec<Trial> {
    agreement::trials().into_iter().chain(lives::trials()).collect()
}
