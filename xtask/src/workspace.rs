//! Where the workspace and its build products are.

use std::path::{Path, PathBuf};

use crate::run::{Failed, cargo, read};

/// The workspace's root.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// The folder of build products, wherever the environment or cargo's configuration puts it.
pub(crate) fn target() -> Result<PathBuf, Failed> {
    let metadata = read(&mut cargo(&["metadata", "--no-deps", "--format-version", "1"]))?;
    serde_json::from_str::<serde_json::Value>(&metadata)
        .ok()
        .and_then(|metadata| Some(PathBuf::from(metadata.get("target_directory")?.as_str()?)))
        .ok_or_else(|| Failed::new("`cargo metadata` names no target directory"))
}
