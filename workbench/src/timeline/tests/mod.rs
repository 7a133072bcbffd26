//! What a timeline claims, from hand-made evidence.

mod calls;
mod claims;
mod packets;
mod programs;
