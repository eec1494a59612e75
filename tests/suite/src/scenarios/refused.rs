//! Who may not, and what is not there, is told so before anything is opened.

use portway_driver::{Net, Runtime};
use portway_server::{Access, LocalPod, Verdict};

use crate::env::{Env, LOCALHOST, PORT, local_addr, ms};
use crate::raw::{Answer, request_of};

/// Asks a server with a pod for its port in a request of that kind; the pod must not hear of it.
async fn ask<R: Runtime + Net>(
    env: &Env<R>,
    more: &str,
    edit: impl Fn(String) -> String,
    verdict: Verdict,
) -> Answer {
    let mut pods = env.bind().await;
    let pod = LocalPod::closed().with_port(PORT, local_addr(&pods));
    let server = env.server(pod, &env.setup()).with_authorizer(move |_: Access| {
        let verdict = verdict.clone();
        async move { verdict }
    });
    let serving = server.listen(LOCALHOST).await.unwrap();
    let mut pipe = env.connect(serving.local_addr()).await;
    let request = edit(request_of(env.form(), &format!("?ports={PORT}"), more));
    let answer = Answer::to_request(&mut pipe, &request).await;
    env.nothing_for(ms(20), env.accept(&mut pods)).await;
    answer
}

/// A web page cannot open a forward.
pub async fn is_a_web_page<R: Runtime + Net>(env: &Env<R>) {
    let more = "Origin: https://page.example\r\n";
    let answer = ask(env, more, |request| request, Verdict::Allow).await;
    assert_eq!(answer.status, 403, "{answer:?}");
}

/// Somebody whom nobody knows gets 401, and somebody without the right 403 that names it.
pub async fn is_who_has_no_right<R: Runtime + Net>(env: &Env<R>) {
    let answer = ask(env, "", |request| request, Verdict::Unauthorized).await;
    assert_eq!(answer.status, 401, "{answer:?}");
    let forbidden = Verdict::Forbidden { user: "jane".into() };
    let answer = ask(env, "", |request| request, forbidden).await;
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(answer.body.contains("jane") && answer.body.contains("portforward"), "{answer:?}");
}

/// A pod that is not there is named: 404.
pub async fn is_a_pod_that_is_not_there<R: Runtime + Net>(env: &Env<R>) {
    let gone = |request: String| request.replace("/pods/demo/", "/pods/gone/");
    let answer = ask(env, "", gone, Verdict::Allow).await;
    assert_eq!(answer.status, 404, "{answer:?}");
    assert!(answer.body.contains("gone"), "{answer:?}");
}
