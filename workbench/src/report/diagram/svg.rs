//! The diagram as a picture: SVG 1.1 with nothing but lines, shapes and text. It names no font file, image or address,
//! and its colours follow the page (`prefers-color-scheme`).

use std::fmt::Write as _;

use super::super::text::{Options, seconds};
use super::super::views::Run;
use super::draw::Sheet;
use super::page::{Anchor, CELL, LINE, Page, text};
use super::scene::{Scene, Step, Tone, What};
use super::svg_arrow::arrow;
use crate::report::words::{width, wrap, wrap_name};

/// Cells between the left edge and the last lifeline, and from there to the right edge.
const CELLS: (usize, usize) = (94, 9);

/// Cells left of the first lifeline: times, and half a host's name.
const LEFT: usize = 16;

const STYLE: &str = "\
text{font:13.3px ui-monospace,SFMono-Regular,Menlo,Consolas,\"DejaVu Sans Mono\",monospace;fill:#1f2328;\
paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}
.page{fill:#fff}.box{fill:#f6f8fa;stroke:#818b98}.b{font-weight:bold}
.life{stroke:#818b98}.gap{stroke:#818b98;stroke-dasharray:2 5}
line,path{fill:none;stroke-width:1.5}
text.dim{fill:#59636e}text.packet{fill:#0550ae}text.bad{fill:#cf222e}text.wait{fill:#7d4e00}text.signal{fill:#8250df}
.s-packet{stroke:#0550ae}.s-bad{stroke:#cf222e}.s-wait{stroke:#7d4e00}.f-packet{fill:#0550ae}
.f-call,.f-end{fill:#1f2328}.f-setup{fill:#7d4e00}.f-signal{fill:#8250df}.f-process{fill:#818b98}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3;stroke:#0d1117}.page{fill:#0d1117}.box{fill:#151b23;stroke:#656c76}
.life,.gap{stroke:#656c76}
text.dim{fill:#9198a1}text.packet{fill:#79c0ff}text.bad{fill:#ff7b72}text.wait{fill:#e3b341}text.signal{fill:#d2a8ff}
.s-packet{stroke:#79c0ff}.s-bad{stroke:#ff7b72}.s-wait{stroke:#e3b341}.f-packet{fill:#79c0ff}
.f-call,.f-end{fill:#e6edf3}.f-setup{fill:#e3b341}.f-signal{fill:#d2a8ff}.f-process{fill:#656c76}
}
";

/// The picture of a run, a whole file.
pub fn svg(run: &Run<'_>) -> String {
    picture(&Scene::new(run))
}

/// A scene as a picture.
pub(super) fn picture(scene: &Scene) -> String {
    let sheet = Sheet::new(CELLS.0, LEFT, scene.columns.len());
    let mut page = Page::new(sheet);
    heading(&mut page, scene);
    hosts(&mut page, scene);
    for step in &scene.steps {
        draw(&mut page, step);
    }
    page.advance(LINE);
    page.end_lifelines();
    if !scene.absent.is_empty() {
        paragraph(&mut page, &format!("without a lifeline: {}", scene.absent.join(", ")), "dim");
    }
    for words in &scene.foot {
        page.advance(LINE / 2);
        paragraph(&mut page, words, "b");
    }
    let (width, height) = ((CELLS.0 + CELLS.1) * CELL, page.y + LINE);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" xml:space=\"preserve\">\n<title>{}</title>\n\
         <style>\n{STYLE}</style>\n<rect class=\"page\" width=\"100%\" height=\"100%\"/>\n{}{}</svg>\n",
        text(&scene.headline),
        page.lifelines,
        page.body
    )
}

fn heading(page: &mut Page, scene: &Scene) {
    page.advance(LINE / 2);
    paragraph(page, &scene.headline, "b");
    paragraph(page, &scene.under[0], "");
    paragraph(page, &scene.under[1], "dim");
    page.advance(LINE);
}

fn paragraph(page: &mut Page, words: &str, class: &str) {
    for line in wrap(words, CELLS.0 + CELLS.1 - 4) {
        page.advance(LINE);
        page.words(2 * CELL, page.y, &line, class, Anchor::Start);
    }
}

/// Boxes with the hosts' names at the heads of the lifelines.
fn hosts(page: &mut Page, scene: &Scene) {
    let apart = page.sheet.lifelines.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or(2 * LEFT);
    let names: Vec<Vec<String>> =
        scene.columns.iter().map(|name| wrap_name(name, apart.min(2 * CELLS.1).saturating_sub(4))).collect();
    let height = names.iter().map(Vec::len).max().unwrap_or(1) * LINE + LINE / 2;
    for (lines, x) in names.iter().zip(page.sheet.lifelines.clone()) {
        let x = x * CELL;
        let half = (lines.iter().map(|line| width(line)).max().unwrap_or(0) + 2) * CELL / 2;
        let _ = writeln!(
            page.body,
            "<rect class=\"box\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{height}\" rx=\"4\"/>",
            x - half,
            page.y,
            2 * half
        );
        for (number, line) in lines.iter().enumerate() {
            page.words(x, page.y + (number + 1) * LINE, line, "b", Anchor::Middle);
        }
    }
    page.advance(height);
    page.begin_lifelines();
    page.advance(LINE / 2);
}

fn draw(page: &mut Page, step: &Step) {
    if let Some(gap) = &step.gap {
        page.gap(gap.column, &gap.words);
    }
    let time = seconds(step.t_ns, Options::KEPT);
    let before = page.y;
    // The number is that of the event in the report's `events`.
    match step.event {
        Some(number) => page.body.push_str(&format!("<g id=\"event-{number}\">\n")),
        None => page.body.push_str("<g>\n"),
    }
    page.words((LEFT - 3) * CELL, before + LINE, &time, "dim", Anchor::End);
    match &step.what {
        What::Mark { column, text } => {
            let x = page.sheet.lifelines[*column] * CELL;
            let (y, class) = (page.y + LINE - 4, shape_class(step.tone));
            match step.tone {
                Tone::State | Tone::Packet => {}
                Tone::End => {
                    let _ = writeln!(
                        page.body,
                        "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"8\" height=\"8\"/>",
                        x - 4,
                        y - 4
                    );
                }
                _ => {
                    let _ = writeln!(page.body, "<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"4\"/>");
                }
            }
            page.beside(*column, text, class_of(step.tone));
            if let Some(after) = &step.after {
                page.beside(*column, after, "wait");
            }
        }
        What::Arrow { .. } => arrow(page, step),
        What::Note { text } => {
            for line in wrap(&format!("{text} {}", step.after.as_deref().unwrap_or_default()), CELLS.0 - LEFT - 2) {
                page.advance(LINE);
                page.words((LEFT + 2) * CELL, page.y, &line, class_of(step.tone), Anchor::Start);
            }
        }
    }
    let _ = writeln!(page.body, "</g>");
    page.advance(LINE / 3);
}

fn class_of(tone: Tone) -> &'static str {
    match tone {
        Tone::Setup => "wait",
        Tone::Call => "",
        Tone::Packet => "packet",
        Tone::Signal => "signal",
        Tone::Process => "dim",
        Tone::End | Tone::State => "b",
    }
}

fn shape_class(tone: Tone) -> &'static str {
    match tone {
        Tone::Setup => "f-setup",
        Tone::Signal => "f-signal",
        Tone::Process => "f-process",
        Tone::End => "f-end",
        Tone::Call | Tone::Packet | Tone::State => "f-call",
    }
}
