use std::time::Duration;

use portway_driver::{Net, Runtime, until};

use crate::env::{Env, Scale};
use crate::matrix::{Case, FORMS, Need, Role, Scenario};
use crate::watched::{Count, Counting, Failing, Watched};
use crate::{Stage, scenarios};

/// No scenario takes longer.
const DEADLINE: Duration = Duration::from_secs(40);

/// How long what a scenario has dropped may take to be gone.
const LEAVE: Duration = Duration::from_secs(10);

/// Runs one square of the matrix; the form is its place in [`FORMS`]. One whose wire form cannot do it
/// is skipped, and says so. When a scenario is over, no task, connection or listener of its runtime
/// may be left.
pub fn run<S: Stage>(name: &str, role: &str, form: usize) {
    let role = if role == "client" { Role::Client } else { Role::Server };
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name);
    let scenario = scenario.expect("a scenario of the list");
    run_case::<S>(Case { scenario, role, form: FORMS[form] });
}

/// Runs one square of the matrix, unless it is skipped.
pub fn run_case<S: Stage>(case: Case) -> Option<Need> {
    let skipped = case.skipped();
    if skipped.is_none() {
        let scale = Scale { bulk: S::BULK, connections: S::CONNECTIONS };
        S::run(async |runtime| {
            let runtime = Watched::new(runtime);
            let env = Env::new(runtime.clone(), case, scale);
            let played = until(&runtime, runtime.now() + DEADLINE, play(&env)).await;
            assert!(played.is_ok(), "{case} takes longer than {DEADLINE:?}");
            let left = until(&runtime, runtime.now() + LEAVE, runtime.at_most(Count::default()));
            if left.await.is_err() {
                panic!("{case} leaves {:?}", runtime.count());
            }
        });
    }
    skipped
}

macro_rules! registry {
    ($($noun:ident {
        $($promise:ident: $($role:ident $(($($need:ident),+))?),+;)+
    })+) => {
        /// All promises.
        pub const SCENARIOS: &[Scenario] = &[$($(Scenario {
            name: concat!(stringify!($noun), "::", stringify!($promise)),
            roles: &[$((registry!(@ $role), &[$($(Need::$need),+)?])),+],
        }),+),+];

        async fn play<R: Runtime + Net + Counting + Failing>(env: &Env<R>) {
            match env.scenario() {
                $($(concat!(stringify!($noun), "::", stringify!($promise)) => {
                    // Boxed: all of them together are a large future.
                    Box::pin(scenarios::$noun::$promise(env)).await;
                })+)+
                unknown => panic!("{unknown} is not in the list"),
            }
        }
    };
    (@ client) => { Role::Client };
    (@ server) => { Role::Server };
}
crate::scenarios!(registry);
