//! Pictures of a run, beside another or alone: what is plotted ([`plots`]), how it is drawn (`draw`), and all of it on one
//! sheet ([`sheet`]), as SVG or PNG.

mod draw;
mod paint;
mod plots;
mod sheet;

pub(crate) use draw::{Size, drawn};
pub(crate) use paint::Paint;
pub(crate) use plots::{Mark, Plot, marks, plots};
pub(crate) use sheet::{png, sheet};
