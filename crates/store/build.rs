//! Builds the crate anew when a step of a schema is added: `sqlx::migrate!` reads the directories, and
//! the compiler does not know.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
