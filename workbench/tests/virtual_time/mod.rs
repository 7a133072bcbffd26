//! The virtual engine as its users meet it: that it agrees with the host's kernel, that every repeat is the same, and
//! what it says when something goes wrong.

use libtest_mimic::Trial;

mod agreement;
mod failures;
mod horizon;
mod repeats;
mod world;

pub fn trials() -> Vec<Trial> {
    [agreement::trials(), failures::trials(), horizon::trials(), repeats::trials(), world::trials()]
        .into_iter()
        .flatten()
        .collect()
}
