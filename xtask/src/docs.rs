//! `docs`: the reference pages that are generated, and the documentation of the code.

use std::fs;
use std::path::PathBuf;

use portolan_chart::diagram::{self, Mark};
use portolan_chart::{Chart, markdown};
use portolan_sync::target::graph::capability;
use portolan_sync::{attributes, expression, rules};

use crate::run::{Failed, cargo, on_file, run};
use crate::steps::Steps;
use crate::workspace::root;

/// Writes the pages and builds the documentation.
pub(crate) fn all(steps: &mut Steps) -> Result<(), Failed> {
    steps.step("reference pages", write)?;
    steps.step("documentation of the code", rustdoc)
}

/// The generated pages: where each stands, from the root, and what is to stand in it.
pub(crate) fn pages() -> Vec<(PathBuf, String)> {
    let charts = Chart::editions().iter().filter_map(|edition| Chart::edition(&edition.id).ok());
    let charts = charts.map(|chart| {
        let name = format!("docs/reference/chart-{}.md", chart.in_force().id);
        (PathBuf::from(name), markdown::page(&chart))
    });
    let attributes = (PathBuf::from("docs/reference/attributes.md"), attributes::page());
    let expressions = (PathBuf::from("docs/reference/expressions.md"), expression::page());
    let rules = (PathBuf::from("docs/reference/rules.md"), rules::page());
    let graph = (PathBuf::from("docs/reference/graph-target.md"), capability::page());
    charts.chain([attributes, expressions, graph, rules, picture()]).collect()
}

/// The picture of the edition in force by default, which the README shows.
fn picture() -> (PathBuf, String) {
    let chart = Chart::default_edition();
    let name = format!("docs/chart-{}.svg", chart.in_force().id);
    (PathBuf::from(name), diagram::svg(&chart, |_| Mark::Plain))
}

/// Builds the documentation of every crate; a warning fails.
pub(crate) fn rustdoc() -> Result<(), Failed> {
    let doc = ["doc", "--no-deps", "--workspace", "--locked", "--quiet"];
    run(cargo(&doc).env("RUSTDOCFLAGS", "-D warnings"))
}

fn write() -> Result<(), Failed> {
    for (name, text) in pages() {
        let path = root().join(&name);
        if let Some(folder) = path.parent() {
            on_file("create", folder, fs::create_dir_all(folder))?;
        }
        on_file("write", &path, fs::write(&path, text))?;
        println!("{}", name.display());
    }
    Ok(())
}
