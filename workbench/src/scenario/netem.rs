//! `netem`: every parameter of tc-netem(8), as properties; loss models and slots, which have parameters of their own, as
//! child nodes.

use kdl::KdlNode;

use super::error::Problem;
use super::fault::{Chance, Distribution, LossModel, Netem, Rate, Slot, SlotDistribution};
use super::fields::{Fields, unknown_node};
use super::span::Spanned;
use super::value::Value;

const DISTRIBUTIONS: &[(&str, Distribution)] = &[
    ("uniform", Distribution::Uniform),
    ("normal", Distribution::Normal),
    ("pareto", Distribution::Pareto),
    ("paretonormal", Distribution::ParetoNormal),
];

/// The properties and nodes that change something by themselves.
const PARAMETERS: &[&str] =
    &["limit", "delay", "jitter", "loss", "duplicate", "reorder", "gap", "corrupt", "rate", "slot", "seed"];

/// One netem with the end whose packets it is for; both ends when it names none.
pub(super) fn netem(node: &KdlNode, problems: &mut Vec<Problem>) -> (Option<Spanned<String>>, Spanned<Netem>) {
    let mut fields = Fields::new(node, problems);
    let span = fields.span();
    let from = fields.property("from", |value| value.text().map(str::to_owned));
    let mut netem = Netem {
        limit_packets: plain(fields.property("limit", |v| v.integer("a number of packets", 1..=i128::from(u32::MAX)))),
        ecn: fields.flag("ecn").is_some(),
        seed: plain(fields.property("seed", |v| v.integer("a seed", 0..=i128::from(u64::MAX)))),
        loss: random_loss(&mut fields),
        duplicate: chance(&mut fields, "duplicate", "duplicate-correlation"),
        corrupt: chance(&mut fields, "corrupt", "corrupt-correlation"),
        reorder: chance(&mut fields, "reorder", "reorder-correlation"),
        gap: plain(fields.property("gap", |v| v.integer("a number of packets", 1..=i128::from(u32::MAX)))),
        rate: rate(&mut fields),
        ..Netem::default()
    };
    delay(&mut fields, &mut netem);
    for child in fields.children() {
        match child.name().value() {
            "loss" => loss(child, &mut netem, fields.problems()),
            "slot" => slot(child, &mut netem, fields.problems()),
            _ => fields.problems().push(unknown_node(child, "a `netem`", &["loss", "slot"])),
        }
    }
    check(&mut fields, netem.ecn);
    fields.finish();
    (from, Spanned::new(netem, span))
}

fn plain<T>(value: Option<Spanned<T>>) -> Option<T> {
    value.map(|value| value.value)
}

fn delay(fields: &mut Fields<'_, '_>, netem: &mut Netem) {
    netem.delay_ns = plain(fields.property("delay", Value::duration_ns));
    netem.jitter_ns = plain(fields.property("jitter", Value::duration_ns));
    netem.delay_correlation = plain(fields.property("correlation", Value::chance));
    netem.distribution = plain(fields.property("distribution", |v| v.one_of("a distribution", DISTRIBUTIONS)));
}

fn chance(fields: &mut Fields<'_, '_>, name: &'static str, correlation: &'static str) -> Option<Chance> {
    let probability = plain(fields.property(name, Value::chance));
    let correlation_of = fields.property(correlation, Value::chance);
    if let Some(correlation_of) = correlation_of.filter(|_| !fields.says(name)) {
        let problem = Problem::new(format!("`{correlation}` without `{name}`")).at(correlation_of.span);
        fields.problem(problem.label("correlated with nothing").help(format!("add {name}=\"1%\"")));
    }
    Some(Chance { probability: probability?, correlation: plain(correlation_of).unwrap_or(0.0) })
}

fn random_loss(fields: &mut Fields<'_, '_>) -> Option<LossModel> {
    let Chance { probability, correlation } = chance(fields, "loss", "loss-correlation")?;
    Some(LossModel::Random { probability, correlation })
}

fn rate(fields: &mut Fields<'_, '_>) -> Option<Rate> {
    let rate = fields.property("rate", Value::rate_bits_per_s);
    let bytes = |v: Value<'_>| v.integer::<i32>("a number of bytes", i128::from(i32::MIN)..=i128::from(i32::MAX));
    let overhead = fields.property("overhead", bytes);
    let cell_size = fields.property("cell-size", |v| v.integer::<u32>("a number of bytes", 0..=i128::from(u32::MAX)));
    let cell_overhead = fields.property("cell-overhead", bytes);
    let places = [overhead.map(|v| v.span), cell_size.map(|v| v.span), cell_overhead.map(|v| v.span)];
    match rate {
        None => {
            let framing = places.into_iter().flatten().next();
            if let Some(place) = framing.filter(|_| !fields.says("rate")) {
                let problem = Problem::new("framing without a `rate`").at(place).label("changes nothing");
                fields.problem(problem.help("overhead and cells count against a rate: add rate=\"1mbit\""));
            }
            None
        }
        Some(rate) if rate.value == 0 => {
            fields.problem(Problem::new("a rate of nothing").at(rate.span).help("`cut` pulls the cable"));
            None
        }
        Some(rate) => Some(Rate {
            bits_per_s: rate.value,
            packet_overhead_bytes: plain(overhead).unwrap_or(0),
            cell_size_bytes: plain(cell_size).unwrap_or(0),
            cell_overhead_bytes: plain(cell_overhead).unwrap_or(0),
        }),
    }
}

/// `loss random|state|gemodel …`, with tc's defaults for what is left out (iproute2, q_netem.c).
fn loss(node: &KdlNode, netem: &mut Netem, problems: &mut Vec<Problem>) {
    let mut fields = Fields::new(node, problems);
    let model = fields.required_argument("a loss model", "loss gemodel p=\"1%\" r=\"10%\"", |value| {
        value.one_of("a loss model", &["random", "state", "gemodel"].map(|name| (name, name)))
    });
    let found = match model.map(|model| model.value) {
        Some("state") => state_model(&mut fields),
        Some("gemodel") => gilbert_elliott(&mut fields),
        Some(_) => fields.required("p", || "loss random p=\"1%\"".into(), Value::chance).map(|p| {
            let correlation = plain(fields.property("correlation", Value::chance)).unwrap_or(0.0);
            LossModel::Random { probability: p.value, correlation }
        }),
        None => None,
    };
    if netem.loss.is_some() && found.is_some() {
        fields.problem(Problem::new("loss is given twice").help("one model for each netem"));
    }
    netem.loss = netem.loss.or(found);
    // Without the model nobody knows which parameters it has.
    if model.is_some() {
        fields.finish_leaf();
    }
}

fn state_model(fields: &mut Fields<'_, '_>) -> Option<LossModel> {
    let p13 = plain(fields.required("p13", || "loss state p13=\"1%\"".into(), Value::chance));
    let p31 = plain(fields.property("p31", Value::chance));
    let p32 = plain(fields.property("p32", Value::chance));
    let p23 = plain(fields.property("p23", Value::chance));
    let p14 = plain(fields.property("p14", Value::chance));
    let p13 = p13?;
    Some(LossModel::State {
        p13,
        p31: p31.unwrap_or(1.0 - p13),
        p32: p32.unwrap_or(0.0),
        p23: p23.unwrap_or(1.0),
        p14: p14.unwrap_or(0.0),
    })
}

fn gilbert_elliott(fields: &mut Fields<'_, '_>) -> Option<LossModel> {
    let p = plain(fields.required("p", || "loss gemodel p=\"1%\" r=\"10%\"".into(), Value::chance));
    let r = plain(fields.property("r", Value::chance));
    let one_minus_h = plain(fields.property("1-h", Value::chance));
    let one_minus_k = plain(fields.property("1-k", Value::chance));
    let p = p?;
    Some(LossModel::GilbertElliott {
        p,
        r: r.unwrap_or(1.0 - p),
        one_minus_h: one_minus_h.unwrap_or(1.0),
        one_minus_k: one_minus_k.unwrap_or(0.0),
    })
}

/// `slot min= max=` or `slot distribution= delay= jitter=`, each with `packets=` and `bytes=`.
fn slot(node: &KdlNode, netem: &mut Netem, problems: &mut Vec<Problem>) {
    const REMEDY: &str = "slot min=\"1ms\" max=\"5ms\", or slot distribution=normal delay=\"5ms\" jitter=\"1ms\"";
    let mut fields = Fields::new(node, problems);
    let min = fields.property("min", Value::duration_ns);
    let max = fields.property("max", Value::duration_ns);
    let shape = fields.property("distribution", |v| v.one_of("a distribution", DISTRIBUTIONS));
    let delay = fields.property("delay", Value::duration_ns);
    let jitter = fields.property("jitter", Value::duration_ns);
    let packets = fields.property("packets", |v| v.integer("a number of packets", 1..=i128::from(i32::MAX)));
    let bytes = fields.property("bytes", |v| v.size_bytes().map(|bytes| u32::try_from(bytes).unwrap_or(u32::MAX)));
    if let (Some(min), Some(max)) = (min, max)
        && max.value < min.value
    {
        let problem = Problem::new("the longest gap is shorter than the shortest").at(max.span);
        fields.problem(problem.also(min.span, "the shortest"));
    }
    let distribution = match (shape, delay, jitter) {
        (Some(shape), Some(delay), Some(jitter)) => {
            Some(SlotDistribution { shape: shape.value, delay_ns: delay.value, jitter_ns: jitter.value })
        }
        _ => None,
    };
    let is_half_given = distribution.is_none() && (shape.is_some() || delay.is_some() || jitter.is_some());
    if is_half_given || min.is_some() == distribution.is_some() {
        fields.problem(Problem::new("a slot has a gap or a distribution of gaps").help(REMEDY));
    }
    let min_delay_ns = plain(min).unwrap_or(0);
    netem.slot = Some(Slot {
        min_delay_ns,
        max_delay_ns: plain(max).unwrap_or(min_delay_ns),
        packets: plain(packets).unwrap_or(0),
        bytes: plain(bytes).unwrap_or(0),
        distribution,
    });
    fields.finish_leaf();
}

/// What tc(8) refuses, or takes and ignores. Looks at what the node says, right or wrong: one mistake is told once.
fn check(fields: &mut Fields<'_, '_>, has_ecn: bool) {
    let is_empty = !has_ecn && PARAMETERS.iter().all(|name| !fields.says(name));
    let says = |name: &str| fields.says(name);
    let complaints = [
        (is_empty, "`netem` changes nothing", "netem delay=\"100ms\" loss=\"1%\""),
        (says("jitter") && !says("delay"), "`jitter` without a `delay` to vary", "add delay=\"100ms\""),
        (
            (says("correlation") || says("distribution")) && !says("jitter"),
            "`correlation` and `distribution` are those of a `jitter`",
            "add jitter=\"10ms\"",
        ),
        (
            says("reorder") && !says("delay"),
            "`reorder` without a `delay` to escape",
            "reordered packets are those not delayed: add delay=\"10ms\"",
        ),
        (
            says("gap") && !says("reorder"),
            "`gap` without a `reorder`",
            "add reorder=\"100%\" to send every gap-th packet at once",
        ),
        (has_ecn && !says("loss"), "`ecn` without a loss to replace by a mark", "add loss=\"1%\""),
    ];
    for (_, message, help) in complaints.into_iter().filter(|(applies, ..)| *applies) {
        fields.problem(Problem::new(message).help(help));
    }
}
