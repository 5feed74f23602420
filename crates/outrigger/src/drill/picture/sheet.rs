//! All plots of a drill on one sheet, as SVG, or as PNG with letters of our own: no machine needs to have fonts.

use super::draw::{Size, drawn};
use super::paint::{Ink, Paint};
use super::plots::{Mark, Plot};
use anyhow::{Context, anyhow};
use resvg::{tiny_skia, usvg};
use std::fmt::Write as _;
use std::sync::Arc;

const GAP: i32 = 16;
const WIDE: Size = Size { width: 1232, height: 320 };
const SMALL: Size = Size { width: 400, height: 230 };

/// Plots on one sheet under a heading: the first across, the others in rows of three, the marks in words at the end.
///
/// # Errors
/// When a plot cannot be drawn.
pub(crate) fn sheet(heading: &str, plots: &[Plot], marks: &[Mark]) -> anyhow::Result<String> {
    let mut inside = String::new();
    let mut y = 52;
    for (i, plot) in plots.iter().enumerate() {
        let size = if i == 0 { WIDE } else { SMALL };
        let x = if i == 0 { 0 } else { (i as i32 - 1) % 3 * (SMALL.width + GAP) };
        let svg = drawn(plot, marks, size, Paint::Light)
            .map_err(|e| anyhow!("{} cannot be drawn: {e}", plot.title))?;
        inside += &svg.replacen("<svg ", &format!("<svg x=\"{}\" y=\"{y}\" ", GAP + x), 1);
        let ends_row = i == 0 || i % 3 == 0 || i + 1 == plots.len();
        y += if ends_row { size.height + GAP } else { 0 };
    }
    for (number, mark) in (1..).zip(marks) {
        let (x, row) = (GAP + 8 + (number - 1) % 4 * 308, (number - 1) / 4);
        line(&mut inside, x, y + 12 + row * 18, 11, &format!("{number}  {}", mark.what));
    }
    y += marks.len().div_ceil(4) as i32 * 18 + GAP;
    let mut head = String::new();
    line(&mut head, GAP + 8, 34, 18, heading);
    let width = WIDE.width + 2 * GAP;
    let all = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{y}\" viewBox=\"0 0 {width} {y}\">\n\
         <rect width=\"{width}\" height=\"{y}\" fill=\"{}\"/>\n{head}{inside}</svg>\n",
        stand_in(Ink::Paper)
    );
    Ok(Paint::Light.over(&all))
}

fn line(svg: &mut String, x: i32, y: i32, size: i32, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let ink = stand_in(Ink::Text);
    writeln!(svg, "<text x=\"{x}\" y=\"{y}\" font-family=\"Roboto, sans-serif\" font-size=\"{size}\" fill=\"{ink}\">{words}</text>")
        .expect("a string takes what is written");
}

fn stand_in(ink: Ink) -> String {
    let colour = ink.stand_in();
    format!("#{:02X}{:02X}{:02X}", colour.0, colour.1, colour.2)
}

/// A sheet as PNG, twice as fine as it is large.
///
/// # Errors
/// When the sheet is no SVG, or too large.
pub(crate) fn png(sheet: &str) -> anyhow::Result<Vec<u8>> {
    let mut options = usvg::Options { font_family: "Roboto".into(), ..usvg::Options::default() };
    let fonts = Arc::make_mut(&mut options.fontdb);
    fonts.load_font_data(include_bytes!("../../../assets/Roboto-Regular.ttf").to_vec());
    fonts.load_font_data(include_bytes!("../../../assets/Roboto-Bold.ttf").to_vec());
    fonts.set_sans_serif_family("Roboto");
    let tree = usvg::Tree::from_str(sheet, &options).context("the sheet cannot be read back")?;
    let size = tree.size().to_int_size().scale_by(2.0).context("the sheet is too large")?;
    let mut pixels = tiny_skia::Pixmap::new(size.width(), size.height()).context("the sheet is too large")?;
    resvg::render(&tree, tiny_skia::Transform::from_scale(2.0, 2.0), &mut pixels.as_mut());
    pixels.encode_png().context("the picture cannot be written")
}
