//! Arrows of the picture: a line with a head or a cross, words above it, and what became of the packet below.

use std::fmt::Write as _;

use super::arrow::End;
use super::page::{CELL, LINE, Page};
use super::scene::{Step, What};
use crate::report::words::wrap;

/// Draws the arrow of a step.
pub(super) fn arrow(page: &mut Page, step: &Step) {
    let What::Arrow { from, to, label, fate, end, is_many } = &step.what else { return };
    if from == to {
        if let Some(after) = &step.after {
            page.beside(*from, after, "wait");
        }
        to_oneself(page, *from, label, end);
        if !fate.is_empty() {
            page.beside(*from, fate, "bad");
        }
        return;
    }
    if let Some(after) = &step.after {
        page.along(*from, *to, after, "wait");
    }
    page.along(*from, *to, label, "packet");
    page.advance(LINE / 3);
    let [x, there] = [*from, *to].map(|column| page.sheet.lifelines[column] * CELL);
    let whole = x.abs_diff(there);
    let length = match end {
        End::Arrives | End::Taken => whole,
        End::Lost | End::InFlight => whole * 3 / 5,
    };
    let sign = if there > x { 1 } else { -1 };
    let tip = x.saturating_add_signed(sign * length.cast_signed());
    let y = page.y;
    line(page, (x, tip), y, "s-packet");
    if *is_many {
        line(page, (x, tip), y + 3, "s-packet");
    }
    match end {
        End::Arrives => head(page, tip, y, sign),
        End::Taken => {
            head(page, tip.saturating_add_signed(-sign * 7), y, sign);
            cross(page, tip, y);
        }
        End::Lost => cross(page, tip, y),
        End::InFlight => {}
    }
    if !fate.is_empty() {
        page.along(*to, *from, fate, "bad");
    }
    page.advance(LINE / 4);
}

fn line(page: &mut Page, (x, tip): (usize, usize), y: usize, class: &str) {
    let _ = writeln!(page.body, "<line class=\"{class}\" x1=\"{x}\" y1=\"{y}\" x2=\"{tip}\" y2=\"{y}\"/>");
}

fn head(page: &mut Page, tip: usize, y: usize, sign: isize) {
    let back = tip.saturating_add_signed(-sign * 10);
    let _ = writeln!(page.body, "<polygon class=\"f-packet\" points=\"{tip},{y} {back},{} {back},{}\"/>", y - 5, y + 5);
}

fn cross(page: &mut Page, x: usize, y: usize) {
    let (left, right, top, bottom) = (x - 6, x + 6, y - 6, y + 6);
    let _ = writeln!(
        page.body,
        "<path class=\"s-bad\" stroke-width=\"3\" d=\"M{left} {top}L{right} {bottom}M{left} {bottom}L{right} {top}\"/>"
    );
}

/// A packet on the loopback interface: out and back.
fn to_oneself(page: &mut Page, column: usize, label: &str, end: &End) {
    let x = page.sheet.lifelines[column] * CELL;
    let sign = if page.sheet.is_leftwards(column) { -1 } else { 1 };
    let lines = wrap(label, page.sheet.room(column).saturating_sub(6));
    let reach = x.saturating_add_signed(sign * (6 * CELL).cast_signed());
    let top = page.y + LINE - 5;
    let anchor = if sign > 0 { super::page::Anchor::Start } else { super::page::Anchor::End };
    for words in &lines {
        page.advance(LINE);
        let start = reach.saturating_add_signed(sign * CELL.cast_signed());
        page.words(start, page.y, words, "packet", anchor);
    }
    let bottom = (top + LINE).max(page.y);
    page.y = bottom + LINE / 3;
    let _ = writeln!(page.body, "<path class=\"s-packet\" d=\"M{x} {top}H{reach}V{bottom}H{x}\"/>");
    match end {
        End::Arrives => head(page, x, bottom, -sign),
        End::Taken | End::Lost | End::InFlight => {
            cross(page, x.saturating_add_signed(sign * CELL.cast_signed()), bottom);
        }
    }
}
