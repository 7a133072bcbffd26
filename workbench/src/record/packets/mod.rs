//! Packets at every interface of every host, as a capture sees them. See [`Capture`].

mod capture;
mod payload;

pub use capture::{Capture, CaptureError, Opening};
pub use payload::payload;
