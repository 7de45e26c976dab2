//! Running other programs, and how a verb fails.

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Why a verb stopped, in one clause, or in several lines where something is to be done.
#[derive(Debug)]
pub(crate) struct Failed(String);

impl Failed {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reading and writing files: says which one.
pub(crate) fn on_file<T>(
    doing: &str,
    path: &Path,
    result: std::io::Result<T>,
) -> Result<T, Failed> {
    result.map_err(|error| Failed(format!("cannot {doing} {}: {error}", path.display())))
}

/// A command of `program` in the workspace's root.
pub(crate) fn program(program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(crate::workspace::root());
    command
}

/// A command of the cargo that runs this verb.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), arguments)
}

/// Runs a command to its end, its output on the terminal; anything but success is a failure.
pub(crate) fn run(command: &mut Command) -> Result<(), Failed> {
    let shown = shown(command);
    println!("$ {shown}");
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failed(format!("`{shown}` failed: {status}"))),
        Err(error) => Err(Failed(format!("cannot start `{shown}`: {error}"))),
    }
}

/// Runs a command to its end and gives its standard output; anything but success is a failure.
pub(crate) fn read(command: &mut Command) -> Result<String, Failed> {
    let shown = shown(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failed(format!("cannot start `{shown}`: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failed(format!("`{shown}` failed: {}\n{said}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The path of a program on `PATH`.
pub(crate) fn find(name: &str) -> Option<std::path::PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// A command as a person would type it: the program by its name, not by the path it was found under.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(name).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_what_it_said() {
        let failed = read(&mut program("/bin/sh", &["-c", "echo broken >&2; exit 3"])).unwrap_err();
        let text = failed.to_string();
        assert!(text.starts_with("`sh -c echo broken >&2; exit 3` failed: exit status: 3\n"));
        assert!(text.ends_with("broken\n"));
        assert!(run(&mut program("/no/such/program", &[])).is_err());
    }

    #[test]
    fn a_program_s_output_is_read() {
        assert_eq!(read(&mut program("/bin/echo", &["a b"])).unwrap(), "a b\n");
    }
}
