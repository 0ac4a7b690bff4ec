//! Host names of ECR registries, in every partition of AWS, with FIPS endpoints and dual-stack.

use anyhow::{Context, bail, ensure};

use super::name::Registry;

/// Twelve digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account(String);

impl Account {
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        ensure!(
            text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()),
            "account {text:?} is not one; it is twelve digits (in YAML inside quotes)"
        );
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    Usual,
    Fips,
    DualStack,
    FipsDualStack,
}

/// What the name of a host says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcrHost {
    pub account: Account,
    pub region: String,
    pub endpoint: Endpoint,
}

/// How regions begin, the domain of their hosts, and that of the dual-stack ones. The last takes all others.
const PARTITIONS: [(&str, &str, &str); 7] = [
    ("cn-", "amazonaws.com.cn", "on.amazonwebservices.com.cn"),
    ("eusc-", "amazonaws.eu", "on.amazonwebservices.eu"),
    ("us-iso-", "c2s.ic.gov", ""),
    ("us-isob-", "sc2s.sgov.gov", ""),
    ("us-isof-", "csp.hci.ic.gov", ""),
    ("eu-isoe-", "cloud.adc-e.uk", ""),
    ("", "amazonaws.com", "on.aws"),
];

fn domains(region: &str) -> (&'static str, &'static str) {
    PARTITIONS
        .iter()
        .find(|(start, ..)| region.starts_with(start))
        .map_or(("amazonaws.com", "on.aws"), |(_, usual, dual)| (usual, dual))
}

/// Letters, digits and hyphens: what fits into a host name.
pub fn check_region(region: &str) -> anyhow::Result<()> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    ensure!(
        region.contains('-')
            && region.bytes().all(fits)
            && !region.starts_with('-')
            && !region.ends_with('-'),
        "region {region:?} is not one; it is a name such as eu-west-1"
    );
    Ok(())
}

impl EcrHost {
    /// Reads a host name; none where it is no registry of ECR.
    pub fn read(registry: &Registry) -> Option<Self> {
        let host = registry.as_str().to_ascii_lowercase();
        let (account, rest) = host.split_once('.')?;
        let (service, rest) = ["dkr.ecr.", "dkr.ecr-fips.", "dkr-ecr.", "dkr-ecr-fips."]
            .into_iter()
            .find_map(|service| Some((service, rest.strip_prefix(service)?)))?;
        let (region, domain) = rest.split_once('.')?;
        check_region(region).ok()?;
        let (usual, dual) = domains(region);
        let endpoint = match service {
            "dkr.ecr." if domain == usual => Endpoint::Usual,
            "dkr.ecr-fips." if domain == usual => Endpoint::Fips,
            "dkr-ecr." if domain == dual => Endpoint::DualStack,
            "dkr-ecr-fips." if domain == dual => Endpoint::FipsDualStack,
            _ => return None,
        };
        Some(Self { account: Account::parse(account).ok()?, region: region.to_owned(), endpoint })
    }

    pub fn registry(&self) -> anyhow::Result<Registry> {
        let Self { account, region, endpoint } = self;
        let (usual, dual) = domains(region);
        let (service, domain) = match endpoint {
            Endpoint::Usual => ("dkr.ecr", usual),
            Endpoint::Fips => ("dkr.ecr-fips", usual),
            Endpoint::DualStack => ("dkr-ecr", dual),
            Endpoint::FipsDualStack => ("dkr-ecr-fips", dual),
        };
        if domain.is_empty() {
            bail!("{region} has no dual-stack registries");
        }
        Registry::parse(&format!("{}.{service}.{region}.{domain}", account.as_str()))
            .with_context(|| format!("no registry can be in {region:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_and_written() {
        use Endpoint::{DualStack, Fips, FipsDualStack, Usual};
        for (host, region, endpoint) in [
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "eu-west-1", Usual),
            ("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", "us-east-1", Fips),
            ("123456789012.dkr-ecr.eu-west-1.on.aws", "eu-west-1", DualStack),
            ("123456789012.dkr-ecr-fips.us-west-2.on.aws", "us-west-2", FipsDualStack),
            ("123456789012.dkr.ecr.us-gov-west-1.amazonaws.com", "us-gov-west-1", Usual),
            ("123456789012.dkr.ecr-fips.us-gov-east-1.amazonaws.com", "us-gov-east-1", Fips),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1", Usual),
            ("123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", "cn-north-1", DualStack),
            ("123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1", Usual),
            ("123456789012.dkr-ecr.eusc-de-east-1.on.amazonwebservices.eu", "eusc-de-east-1", DualStack),
            ("123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov", "us-iso-east-1", Usual),
            ("123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov", "us-isob-east-1", Usual),
            ("123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov", "us-isof-south-1", Usual),
            ("123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk", "eu-isoe-west-1", Usual),
        ] {
            let registry = Registry::parse(host).unwrap();
            let expected = EcrHost {
                account: Account::parse("123456789012").unwrap(),
                region: region.to_owned(),
                endpoint,
            };
            assert_eq!(EcrHost::read(&registry), Some(expected.clone()), "{host}");
            assert_eq!(expected.registry().unwrap(), registry);
        }
    }

    #[test]
    fn other_hosts_are_none() {
        for host in [
            "127.0.0.1:4566",
            "public.ecr.aws",
            "docker.io",
            "12345.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com:443",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example",
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.cn",
            "123456789012.dkr.ecr.eu-west-1.on.aws",
            "123456789012.dkr.s3.eu-west-1.amazonaws.com",
        ] {
            assert_eq!(EcrHost::read(&Registry::parse(host).unwrap()), None, "{host}");
        }
        let nowhere = EcrHost {
            account: Account::parse("123456789012").unwrap(),
            region: "us-iso-east-1".to_owned(),
            endpoint: Endpoint::DualStack,
        };
        assert!(nowhere.registry().is_err());
    }

    #[test]
    fn accounts_and_regions_are_checked() {
        for (text, good) in
            [("123456789012", true), ("012345678901", true), ("1234", false), ("12345678901a", false)]
        {
            assert_eq!(Account::parse(text).is_ok(), good, "{text}");
        }
        for (text, good) in
            [("eu-west-1", true), ("", false), ("Ireland", false), ("eu west-1", false), ("eu/-1", false)]
        {
            assert_eq!(check_region(text).is_ok(), good, "{text}");
        }
    }
}
