/// What to do about a server that cannot be reached or used, by what the libraries below say of it.
pub(crate) fn unreachable(problem: &str) -> Option<&'static str> {
    /// What is said, and what to do. The first counts.
    const KNOWN: &[(&[&str], &str)] = &[
        (
            &["NotValidForName", "not valid for name"],
            "its certificate is for other names: reach it by one of those, or give that to --tls-server-name",
        ),
        (
            &["received fatal alert: CertificateExpired"],
            "our certificate has expired: log in again",
        ),
        (
            &[
                "received fatal alert: UnknownCA",
                "received fatal alert: BadCertificate",
                "received fatal alert: CertificateUnknown",
                "received fatal alert: DecryptError",
            ],
            "it does not take our certificate, which another cluster's authority may have issued",
        ),
        (
            &["received fatal alert: CertificateRequired"],
            "it wants a client certificate, and there is none in the kubeconfig",
        ),
        (
            &["invalid peer certificate: Expired", "certificate expired"],
            "its certificate has expired, or the clock here is wrong",
        ),
        (
            &["InvalidContentType", "wrong version number"],
            "it does not speak TLS: is it plain HTTP, http:// ?",
        ),
        (&["roxy"], "the proxy is that of proxy-url in the kubeconfig, or of HTTPS_PROXY"),
        (
            &["Connection refused"],
            "nothing listens there: is the cluster up, and is this its address?",
        ),
        (
            &["failed to lookup address", "dns error", "Name or service not known"],
            "nobody knows that name: is it right, and is the VPN up?",
        ),
        (
            &["No route to host", "Network is unreachable", "timed out", "deadline has elapsed"],
            "there is no way to it: is the network up, and the VPN?",
        ),
    ];
    let fits = |(said, _): &&(&[&str], &str)| said.iter().any(|said| problem.contains(said));
    KNOWN.iter().find(fits).map(|(_, advice)| *advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_our_certificate_lacks_is_not_said_of_the_servers() {
        let advice = |problem| unreachable(problem).unwrap_or_default();
        assert!(advice("received fatal alert: CertificateExpired").starts_with("our"));
        assert!(advice("invalid peer certificate: Expired").starts_with("its"));
        assert_eq!(advice("something else"), "");
    }
}
