//! How a plot is drawn. Everything is drawn four times as large as it is shown, since the library's coordinates are whole
//! numbers, and lines would have steps otherwise.

use super::paint::{Ink, Paint};
use super::plots::{Line, Mark, Plot, Stroke, Unit};
use crate::drill::words::{count, figure, seconds};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::error::Error;
use std::ops::Range;

/// How much larger than shown.
const FINE: i32 = 4;

/// How large a plot is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Size {
    /// Across.
    pub(crate) width: i32,
    /// Down.
    pub(crate) height: i32,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Keyed, Keyed>>;
type Drawn = Result<(), Box<dyn Error>>;

const LEFT: i32 = 46;
const RIGHT: i32 = 20;
const TOP: i32 = 46;
const BOTTOM: i32 = 22;

/// A plot as SVG with `marks`, which are numbered where there is `room` for it.
///
/// # Errors
/// None that could be told: the library's own, for a backend that cannot fail.
pub(crate) fn drawn(plot: &Plot, marks: &[Mark], size: Size, paint: Paint) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    {
        let fine = ((size.width * FINE) as u32, (size.height * FINE) as u32);
        let area = SVGBackend::with_string(&mut svg, fine).into_drawing_area();
        legend(&area, plot, size)?;
        if plot.bars.is_empty() {
            over_time(&area, plot, marks, size)?
        } else {
            by_word(&area, plot, size)?
        }
        area.present()?;
    }
    Ok(paint.over(&named(&svg, plot, size)))
}

/// The picture with its title for those who hear it, and with the size at which it is shown.
fn named(svg: &str, plot: &Plot, size: Size) -> String {
    let (_, rest) = svg.split_once("viewBox").unwrap_or(("", svg));
    let title = plot.title.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let Size { width, height } = size;
    // Strokes of all lines are round where they meet: peaks do not stick out then.
    format!(
        "<svg width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{title}\" stroke-linejoin=\"round\" viewBox{rest}"
    )
}

fn text(size: i32, ink: Ink) -> TextStyle<'static> {
    // The library divides sizes by this, which is a point's ratio to a pixel in its own view.
    let size = f64::from(size * FINE) * 1.24;
    ("Roboto, sans-serif", size).into_font().color(&ink.stand_in())
}

fn at(x: i32, y: i32) -> (i32, i32) {
    (x * FINE, y * FINE)
}

/// Title and names above the plot.
fn legend(area: &Area<'_>, plot: &Plot, size: Size) -> Drawn {
    let title = ("Roboto, sans-serif", f64::from(13 * FINE) * 1.24, FontStyle::Bold).into_font();
    area.draw_text(&plot.title, &title.color(&Ink::Text.stand_in()), at(8, 6))?;
    let bars = plot.names.iter().zip([Ink::Run, Ink::Beside]).map(|(name, ink)| (name.as_str(), ink));
    let lines = plot.lines.iter().rev().map(|line| (line.name.as_str(), line.ink));
    let names: Vec<(&str, Ink)> = if plot.bars.is_empty() { lines.collect() } else { bars.collect() };
    let mut x = 8;
    for (name, ink) in names.into_iter().filter(|(name, _)| !name.is_empty()) {
        let across = 22 + name.chars().count() as i32 * 6;
        if x > 8 && x + across > size.width {
            break;
        }
        area.draw(&Rectangle::new([at(x, 29), at(x + 10, 33)], ink.stand_in().filled()))?;
        area.draw_text(name, &text(11, Ink::Faint), at(x + 14, 25))?;
        x += across + 8;
    }
    Ok(())
}

fn over_time(area: &Area<'_>, plot: &Plot, marks: &[Mark], size: Size) -> Drawn {
    let scale = Scale::of(plot);
    let inside = area.margin(TOP * FINE, 4 * FINE, 0, RIGHT * FINE);
    let mut chart = ChartBuilder::on(&inside)
        .x_label_area_size(BOTTOM * FINE)
        .y_label_area_size(LEFT * FINE)
        .build_cartesian_2d(
            Keyed { range: 0.0..plot.lasts.max(1.0), keys: times(plot, size) },
            Keyed { range: scale.low..scale.high, keys: scale.keys.clone() },
        )?;
    chart
        .configure_mesh()
        .light_line_style(Ink::Grid.stand_in().mix(0.0))
        .bold_line_style(Ink::Grid.stand_in().stroke_width(FINE as u32))
        .axis_style(Ink::Grid.stand_in().stroke_width(FINE as u32))
        .label_style(text(11, Ink::Faint))
        .x_label_formatter(&|x| time(plot, *x))
        .y_label_formatter(&|y| scale.label(*y))
        .set_all_tick_mark_size(3 * FINE)
        .draw()?;
    for line in &plot.lines {
        draw_line(&mut chart, line, &scale)?;
    }
    draw_marks(&mut chart, marks, &scale, plot, size)
}

fn draw_line(chart: &mut Chart<'_, '_>, line: &Line, scale: &Scale) -> Drawn {
    let points = || line.points.iter().filter(|(_, y)| y.is_finite()).map(|(x, y)| (*x, scale.place(*y)));
    let ink = line.ink.stand_in();
    match line.stroke {
        Stroke::Bold => chart
            .draw_series(LineSeries::new(plain(points()), ink.stroke_width(2 * FINE as u32)))
            .map(drop)?,
        Stroke::Thin => {
            let style = ink.mix(0.75).stroke_width(FINE as u32 + 1);
            chart.draw_series(LineSeries::new(plain(points()), style)).map(drop)?;
        }
        Stroke::Area => chart.draw_series(AreaSeries::new(plain(points()), 0.0, ink)).map(drop)?,
        Stroke::Bar => {
            let half = line.points.get(1).map_or(30.0, |(x, _)| x - line.points[0].0) * 0.45;
            let bars = points().filter(|(_, y)| *y > 0.0);
            chart
                .draw_series(
                    bars.map(|(x, y)| Rectangle::new([(x - half, 0.0), (x + half, y)], ink.filled())),
                )
                .map(drop)?;
        }
    }
    Ok(())
}

/// Leaves out the points between two of the same height: a calm stretch is one line.
fn plain(points: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut kept: Vec<(f64, f64)> = Vec::new();
    for point in points {
        if let [.., (_, a), last] = kept.as_mut_slice()
            && *a == last.1
            && last.1 == point.1
        {
            *last = point;
            continue;
        }
        kept.push(point);
    }
    kept
}

/// A line at each mark; where a plot is wide enough its number too, in rows so that none hides another.
fn draw_marks(chart: &mut Chart<'_, '_>, marks: &[Mark], scale: &Scale, plot: &Plot, size: Size) -> Drawn {
    let across = plot.lasts.max(1.0) / f64::from(size.width - LEFT - RIGHT);
    let down = (scale.high - scale.low) / f64::from(size.height - TOP - BOTTOM - 4);
    let mut rows: Vec<f64> = Vec::new();
    let numbered = size.height > 240;
    for (number, mark) in (1..).zip(marks) {
        let line = [(mark.at, scale.low), (mark.at, scale.high)];
        let style = Ink::Mark.stand_in().mix(0.35).stroke_width(FINE as u32);
        chart.draw_series([PathElement::new(line, style)])?;
        if !numbered {
            continue;
        }
        let free = rows.iter().position(|taken| mark.at - taken > 18.0 * across).unwrap_or(rows.len());
        if free == rows.len() {
            rows.push(0.0);
        }
        rows[free] = mark.at;
        let y = scale.high - (9.0 + 18.0 * free as f64) * down;
        let centre = Pos::new(HPos::Center, VPos::Center);
        chart.draw_series([Circle::new((mark.at, y), 8 * FINE, Ink::Mark.stand_in().filled())])?;
        chart.draw_series([Text::new(
            format!("{number}"),
            (mark.at, y),
            text(10, Ink::Paper).pos(centre),
        )])?;
    }
    Ok(())
}

/// Two bars for each word.
fn by_word(area: &Area<'_>, plot: &Plot, size: Size) -> Drawn {
    let most = plot.bars.iter().flat_map(|(_, both)| both).copied().fold(1.0, f64::max);
    let left =
        8 + 6 * plot.bars.iter().map(|(word, _)| word.chars().count() as i32).max().unwrap_or(0).min(20);
    let room = f64::from(size.width - left - 70);
    let high = ((size.height - TOP - 8) / plot.bars.len() as i32).min(32);
    for ((word, both), y) in plot.bars.iter().zip((0..).map(|i| TOP + 4 + i * high)) {
        area.draw_text(word, &text(11, Ink::Text), at(8, y))?;
        let thick = (high - 6) / 2;
        for (value, ink, y) in [(both[0], Ink::Run, y), (both[1], Ink::Beside, y + thick + 1)] {
            if ink == Ink::Beside && plot.names[1].is_empty() {
                continue;
            }
            let long = (value / most * room) as i32;
            area.draw(&Rectangle::new(
                [at(left + 6, y), at(left + 7 + long, y + thick)],
                ink.stand_in().filled(),
            ))?;
            let label = text(10, Ink::Faint).pos(Pos::new(HPos::Left, VPos::Center));
            area.draw_text(&count(value), &label, at(left + 12 + long, y + thick / 2))?;
        }
    }
    Ok(())
}

/// An axis whose labels and lines of the grid we choose.
struct Keyed {
    range: Range<f64>,
    keys: Vec<f64>,
}

impl Ranged for Keyed {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let part = (value - self.range.start) / (self.range.end - self.range.start);
        limit.0 + (part.clamp(-0.1, 1.1) * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.keys.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// Where values are on the way up, and what is written there.
struct Scale {
    unit: Unit,
    low: f64,
    high: f64,
    keys: Vec<f64>,
}

impl Scale {
    fn of(plot: &Plot) -> Scale {
        let values = || plot.lines.iter().flat_map(|l| &l.points).map(|(_, v)| *v).filter(|v| v.is_finite());
        let most = values().fold(0.0, f64::max);
        let unit = plot.unit;
        match unit {
            Unit::Share => {
                Scale { unit, low: 0.0, high: most.max(1.0), keys: vec![0.0, 0.25, 0.5, 0.75, 1.0] }
            }
            Unit::Seconds => {
                let least = values().filter(|v| *v > 0.0).fold(most, f64::min).max(1e-6);
                let (low, high) = (least.log10().floor(), most.max(least * 2.0).log10().ceil());
                let keys = (low as i32..=high as i32).map(f64::from).collect();
                Scale { unit, low, high, keys }
            }
            Unit::Number => Scale::up(unit, 0.0, most.max(1.0)),
            Unit::Times => Scale::up(unit, 1.0, most.max(2.0)),
        }
    }

    /// From `low` to the next round number above `most`.
    fn up(unit: Unit, low: f64, most: f64) -> Scale {
        let step = round((most - low) / 4.0);
        let steps = ((most - low) / step).ceil().max(1.0);
        let keys = (0..=steps as i32).map(|i| low + f64::from(i) * step).collect();
        Scale { unit, low, high: low + steps * step * 1.03, keys }
    }

    /// Where a value lies.
    fn place(&self, value: f64) -> f64 {
        match self.unit {
            Unit::Seconds => value.max(1e-9).log10().max(self.low),
            _ => value.max(self.low),
        }
    }

    fn label(&self, place: f64) -> String {
        match self.unit {
            Unit::Share => format!("{:.0} %", place * 100.0),
            Unit::Seconds => seconds(10f64.powf(place)),
            Unit::Number | Unit::Times => figure(place),
        }
    }
}

/// The next of 1, 2, 5, 10, … at or above.
fn round(step: f64) -> f64 {
    let ten = 10f64.powf(step.max(1e-9).log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|n| n * ten).find(|n| *n >= step * 0.999).unwrap_or(10.0 * ten)
}

/// Round times of day, so many that their names do not touch.
fn times(plot: &Plot, size: Size) -> Vec<f64> {
    let fit = f64::from((size.width - LEFT - RIGHT) / 62).max(2.0);
    let steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 14_400, 43_200, 86_400];
    let step = steps.into_iter().find(|s| plot.lasts / f64::from(*s) <= fit).unwrap_or(604_800);
    let first = (step - plot.starts.seconds() as i32 % step) % step;
    (0..).map(|i| f64::from(first + i * step)).take_while(|t| *t <= plot.lasts).collect()
}

/// A time of day as short as it can be.
fn time(plot: &Plot, seconds: f64) -> String {
    let clock = plot.starts.at(model::Moment::from_millis((seconds * 1000.0) as u64)).to_string();
    match plot.lasts {
        long if long >= 1200.0 => clock[..5].to_owned(),
        _ if plot.starts.seconds() == 0 => clock[3..].to_owned(),
        _ => clock,
    }
}
