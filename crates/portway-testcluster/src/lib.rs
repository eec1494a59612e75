#![doc = include_str!("../README.md")]
// A refusal is an answer, made once a request.
#![allow(clippy::result_large_err)]

mod api;
mod auth;
mod authority;
mod cluster;
mod journal;
mod kubeconfig;
mod line;
mod pod;
mod resource;
mod service;
mod state;
mod stream;
mod version;
mod workload;

pub use auth::{Rule, User};
pub use authority::{Certificate, CertificateError};
pub use cluster::{Builder, StartError, TestCluster};
pub use pod::{Lie, Pod, PodBuilder, Program};
pub use portway_driver::{RelayRules, WireForm};
pub use portway_server::{Limits, ServerEvent, Unfinished};
pub use service::{Service, ServiceBuilder, Target};
pub use stream::PodStream;
pub use version::Version;
pub use workload::{Workload, WorkloadBuilder};
