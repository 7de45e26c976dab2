//! HTTP/1.1 on both sides of the chart: [`serve`] on a listener, [`Client`] by flow.

mod client;
mod server;

pub use client::{Client, ClientLimits, HttpError};
pub use server::{ClientAddress, ServerLimits, serve};
