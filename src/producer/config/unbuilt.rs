//! Keys of Java's producer that are not built yet, and those that mean something to a JVM only.
//!
//! Java's counterparts: `ProducerConfig`, `SslConfigs`, `SaslConfigs` of Kafka 4.3. Thread: any.
//! Locks: none. A value that asks for nothing, such as `enable.metrics.push=false`, is accepted.

use super::settings::config;
use crate::error::Error;

/// A key, and the value that asks for nothing, if there is one.
pub(super) type Unbuilt = (&'static str, Option<&'static str>);

/// Refuses a key that is not built, unless it asks for nothing.
pub(super) fn refuse(&(name, neutral): &Unbuilt, value: &str) -> Result<(), Error> {
    match neutral {
        Some(neutral) if neutral.eq_ignore_ascii_case(value.trim()) => Ok(()),
        Some("") => Err(config(format!("{name} is not built yet: leave it out"))),
        Some(neutral) => Err(config(format!(
            "{name} is not built yet: leave it out, or set it to {neutral}"
        ))),
        None => Err(config(format!("{name} is not built yet: leave it out"))),
    }
}

pub(super) fn unbuilt_named(name: &str) -> Option<&'static Unbuilt> {
    UNBUILT.iter().find(|(key, _)| *key == name)
}

/// In the order of the alphabet.
pub(super) static UNBUILT: &[Unbuilt] = &[
    ("bootstrap.resolve.timeout.ms", Some("0")),
    ("client.rack", Some("")),
    ("compression.gzip.level", None),
    ("compression.lz4.level", None),
    ("compression.zstd.level", None),
    ("config.providers", Some("")),
    ("enable.metrics.push", Some("false")),
    ("interceptor.classes", Some("")),
    ("metadata.cluster.check.enable", Some("false")),
    ("metric.reporters", Some("")),
    ("metrics.num.samples", None),
    ("metrics.recording.level", None),
    ("metrics.sample.window.ms", None),
    ("partitioner.adaptive.partitioning.enable", Some("false")),
    ("partitioner.availability.timeout.ms", Some("0")),
    ("partitioner.rack.aware", Some("false")),
    ("sasl.client.callback.handler.class", Some("")),
    ("sasl.jaas.config", Some("")),
    ("sasl.kerberos.kinit.cmd", None),
    ("sasl.kerberos.min.time.before.relogin", None),
    ("sasl.kerberos.service.name", Some("")),
    ("sasl.kerberos.ticket.renew.jitter", None),
    ("sasl.kerberos.ticket.renew.window.factor", None),
    ("sasl.login.callback.handler.class", Some("")),
    ("sasl.login.class", Some("")),
    ("sasl.login.connect.timeout.ms", None),
    ("sasl.login.read.timeout.ms", None),
    ("sasl.login.refresh.buffer.seconds", None),
    ("sasl.login.refresh.min.period.seconds", None),
    ("sasl.login.refresh.window.factor", None),
    ("sasl.login.refresh.window.jitter", None),
    ("sasl.login.retry.backoff.max.ms", None),
    ("sasl.login.retry.backoff.ms", None),
    ("sasl.mechanism", None),
    ("sasl.oauthbearer.assertion.algorithm", None),
    ("sasl.oauthbearer.assertion.claim.aud", None),
    ("sasl.oauthbearer.assertion.claim.exp.seconds", None),
    ("sasl.oauthbearer.assertion.claim.iss", None),
    ("sasl.oauthbearer.assertion.claim.jti.include", None),
    ("sasl.oauthbearer.assertion.claim.nbf.seconds", None),
    ("sasl.oauthbearer.assertion.claim.sub", None),
    ("sasl.oauthbearer.assertion.file", None),
    ("sasl.oauthbearer.assertion.private.key.file", None),
    ("sasl.oauthbearer.assertion.private.key.passphrase", None),
    ("sasl.oauthbearer.assertion.template.file", None),
    ("sasl.oauthbearer.client.credentials.client.id", None),
    ("sasl.oauthbearer.client.credentials.client.secret", None),
    ("sasl.oauthbearer.clock.skew.seconds", None),
    ("sasl.oauthbearer.expected.audience", None),
    ("sasl.oauthbearer.expected.issuer", None),
    ("sasl.oauthbearer.header.urlencode", None),
    ("sasl.oauthbearer.jwks.endpoint.refresh.ms", None),
    ("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", None),
    ("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", None),
    ("sasl.oauthbearer.jwks.endpoint.url", None),
    ("sasl.oauthbearer.jwt.retriever.class", None),
    ("sasl.oauthbearer.jwt.validator.class", None),
    ("sasl.oauthbearer.scope", None),
    ("sasl.oauthbearer.scope.claim.name", None),
    ("sasl.oauthbearer.sub.claim.name", None),
    ("sasl.oauthbearer.token.endpoint.url", None),
    ("ssl.cipher.suites", Some("")),
    ("ssl.enabled.protocols", None),
    ("ssl.endpoint.identification.algorithm", None),
    ("ssl.engine.factory.class", Some("")),
    ("ssl.key.password", None),
    ("ssl.keymanager.algorithm", None),
    ("ssl.keystore.certificate.chain", None),
    ("ssl.keystore.key", None),
    ("ssl.keystore.location", Some("")),
    ("ssl.keystore.password", None),
    ("ssl.keystore.type", None),
    ("ssl.protocol", None),
    ("ssl.provider", Some("")),
    ("ssl.secure.random.implementation", Some("")),
    ("ssl.trustmanager.algorithm", None),
    ("ssl.truststore.certificates", None),
    ("ssl.truststore.location", Some("")),
    ("ssl.truststore.password", None),
    ("ssl.truststore.type", None),
    ("transaction.timeout.ms", None),
    ("transaction.two.phase.commit.enable", Some("false")),
    ("transactional.id", None),
];

/// Of no meaning outside of a JVM, whatever the value: accepted and left alone.
pub(super) static JVM_ONLY: &[&str] = &["auto.include.jmx.reporter", "security.providers"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuse_names_the_key_and_never_the_value() {
        let key = unbuilt_named("ssl.keystore.password").expect("listed");
        let text = refuse(key, "secret").expect_err("not built").to_string();
        assert!(text.contains("ssl.keystore.password is not built yet"));
        assert!(!text.contains("secret"));
    }

    #[test]
    fn refuse_accepts_what_asks_for_nothing() {
        let push = unbuilt_named("enable.metrics.push").expect("listed");
        assert!(refuse(push, " False ").is_ok());
        assert!(refuse(push, "true").is_err());
    }

    #[test]
    fn list_is_in_order_and_has_nothing_that_is_built() {
        assert!(UNBUILT.is_sorted_by(|a, b| a.0 < b.0));
        let built = |name| super::super::key_table::key_named(name).is_some();
        assert!(!UNBUILT.iter().any(|(name, _)| built(*name)));
    }
}
