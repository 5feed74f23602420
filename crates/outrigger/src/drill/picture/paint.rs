//! Colours by meaning. A plot is drawn with numbered stand-ins, which become colours of a page's style sheet (light or dark,
//! as its reader likes) or of a fixed light theme.

use plotters::style::RGBColor;

/// What a colour means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ink {
    /// The run that a drill is about.
    Run,
    /// The run beside it.
    Beside,
    /// Text that is read.
    Text,
    /// Text and lines that step back.
    Faint,
    /// Lines of a grid.
    Grid,
    /// What is drawn upon.
    Paper,
    /// Marks of happenings.
    Mark,
    /// The first of three shades of the run.
    Ready,
    /// The second.
    Cold,
    /// The third.
    Starting,
}

const ALL: [(Ink, &str, &str); 10] = [
    (Ink::Run, "run", "#C2410C"),
    (Ink::Beside, "beside", "#0F766E"),
    (Ink::Text, "text", "#1C1917"),
    (Ink::Faint, "faint", "#78716C"),
    (Ink::Grid, "grid", "#E7E5E4"),
    (Ink::Paper, "paper", "#FFFFFF"),
    (Ink::Mark, "mark", "#57534E"),
    (Ink::Ready, "ready", "#F4A47A"),
    (Ink::Cold, "cold", "#7DA7D9"),
    (Ink::Starting, "starting", "#C9C4BF"),
];

impl Ink {
    /// The stand-in that is drawn with.
    pub(super) fn stand_in(self) -> RGBColor {
        let at = ALL.iter().position(|(ink, _, _)| *ink == self).unwrap_or(0);
        RGBColor(1, 0, at as u8)
    }
}

/// What stand-ins become.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Paint {
    /// Variables of the page's style sheet, `var(--run)`.
    Page,
    /// The colours of the light theme.
    Light,
}

impl Paint {
    /// `svg` with its stand-ins replaced.
    pub(super) fn over(self, svg: &str) -> String {
        let mut svg = svg.to_owned();
        for (at, (_, name, light)) in ALL.iter().enumerate() {
            let colour = match self {
                Paint::Page => format!("var(--{name})"),
                Paint::Light => (*light).to_owned(),
            };
            svg = svg.replace(&format!("#0100{at:02X}"), &colour);
        }
        svg
    }
}
