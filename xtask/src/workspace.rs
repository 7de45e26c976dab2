//! Where the workspace and its build products are.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::run::{Failed, cargo, read};

/// The workspace's root.
pub(crate) fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        // Cargo says at run time where it found the manifest. What was true at build time may be another
        // clone's folder, where two share their build products.
        let xtask = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        xtask.parent().map_or_else(|| xtask.clone(), Path::to_path_buf)
    });
    &ROOT
}

/// The folder of build products, wherever the environment or cargo's configuration puts it.
pub(crate) fn target() -> Result<PathBuf, Failed> {
    let metadata = read(&mut cargo(&["metadata", "--no-deps", "--format-version", "1"]))?;
    serde_json::from_str::<serde_json::Value>(&metadata)
        .ok()
        .and_then(|metadata| Some(PathBuf::from(metadata.get("target_directory")?.as_str()?)))
        .ok_or_else(|| Failed::new("`cargo metadata` names no target directory"))
}
