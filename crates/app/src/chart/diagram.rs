//! `portolan chart diagram`: the picture of an edition.

use portolan_chart::diagram::{Mark, mermaid, svg};

use super::edition;
use crate::report::Failure;

/// What `portolan chart diagram` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The edition, by its date, or a file; without it, the one in force by default.
    #[arg(long, value_name = "DATE|FILE")]
    edition: Option<String>,
    /// How to draw it.
    #[arg(long, value_enum, default_value_t = Format::Svg)]
    format: Format,
}

/// How a picture is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// A picture, readable in light and dark.
    Svg,
    /// The text of a flowchart for Mermaid.
    Mermaid,
}

/// The picture.
pub(super) fn render(args: &Args) -> Result<String, Failure> {
    let chart = edition::chart(args.edition.as_deref())?;
    Ok(match args.format {
        Format::Svg => svg(&chart, |_| Mark::Plain),
        Format::Mermaid => mermaid(&chart),
    })
}
