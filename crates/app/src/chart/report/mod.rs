//! What a check found, written for people and for programs.
//!
//! Every format says the same of a question: the verdict, how long it took, the row, what breaks without it
//! and the next step ([`words`]). What could not be judged is never written as passed.

mod html;
mod json;
mod junit;
mod sarif;
#[cfg(test)]
pub(super) mod tests;
pub(super) mod text;
pub(super) mod words;

use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum as _;
use portolan_probe::Report;

use crate::report::Failure;

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// Lines for people.
    Text,
    /// One JSON document for programs.
    Json,
    /// JUnit XML, for what shows the results of tests.
    Junit,
    /// SARIF 2.1.0, for what collects findings.
    Sarif,
    /// One page of HTML with the picture of the edition, which needs nothing else.
    Html,
}

/// A report beside the one on standard output.
#[derive(Debug, Clone)]
pub(super) struct Copy {
    format: Format,
    path: PathBuf,
}

impl FromStr for Copy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (format, path) = text.split_once('=').ok_or("write FORMAT=FILE")?;
        let known = || {
            let names: Vec<_> = ["text", "json", "junit", "sarif", "html"].to_vec();
            format!("{format:?} is no format: the formats are {}", names.join(", "))
        };
        let format = Format::from_str(format, false).map_err(|_| known())?;
        Ok(Self { format, path: path.into() })
    }
}

impl Copy {
    /// A report of this format to this file.
    pub(super) const fn new(format: Format, path: PathBuf) -> Self {
        Self { format, path }
    }

    /// Writes it.
    ///
    /// # Errors
    /// What the file system says.
    pub(super) fn write(&self, report: &Report) -> Result<(), Failure> {
        let text = render(report, self.format)?;
        std::fs::write(&self.path, text).map_err(|error| {
            let doing = format!("cannot write {}", self.path.display());
            Failure::because(&doing, &error).unjudged()
        })
    }
}

/// A report as text of a format.
///
/// # Errors
/// When a page does not render, which is a defect.
pub(super) fn render(report: &Report, format: Format) -> Result<String, Failure> {
    Ok(match format {
        Format::Text => text::report(report),
        Format::Json => json::report(report),
        Format::Junit => junit::report(report),
        Format::Sarif => sarif::report(report),
        Format::Html => html::report(report)
            .map_err(|error| Failure::because("cannot write the report", &error).unjudged())?,
    })
}
