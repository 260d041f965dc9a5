//! Whether the signatures under attestations are good, as Sigstore has it
//! (<https://docs.sigstore.dev/about/bundle/>): the signer's certificate comes from its authority, its
//! log has the entry, and the signature is of the statement.
//!
//! Nothing is asked: the authorities' certificates and the logs' keys come with the crate, so what is
//! signed under younger ones is not verified, and that is said. Arithmetic is `ring`'s.

use ring::signature as rings;
use serde_json::Value;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use sigstore_verify::crypto::{
    CryptoProvider, Error as CryptoError, HashContext, SigningScheme, SubjectAltName,
    install_default_provider,
};
use sigstore_verify::trust_root::{SigstoreInstance, TrustedRoot};
use sigstore_verify::types::{Artifact, ArtifactDigest, Bundle, HashAlgorithm};
use sigstore_verify::{Error, TransparencyLogError, VerificationPolicy, Verifier};

use crate::core::digest::{Algorithm, Digest};

/// Who a good signature is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signer {
    /// The certificate's own name: a workflow's URL, or an address of mail.
    pub name: String,
    /// The repository that was built, as a URL.
    pub repository: Option<String>,
    /// What of it was built: `refs/tags/v1.0.0`.
    pub reference: Option<String>,
}

/// What verifying came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The signature is good.
    Good(Signer),
    /// It is not, whatever one trusts: why.
    Forged(String),
    /// Nobody can say: why.
    Unknown(String),
}

/// Verifies signatures.
pub(super) struct Notary(Result<Verifier, String>);

impl Notary {
    /// With the authorities and logs that come with the crate.
    pub fn new() -> Self {
        // Whoever comes first installs it, and it is the same one each time.
        let _ = install_default_provider(&Ring);
        let root = TrustedRoot::from_embedded(SigstoreInstance::PublicGood);
        let verifier = root.map_err(|error| error.to_string());
        Self(verifier.and_then(|root| Verifier::new(&root).map_err(|error| error.to_string())))
    }

    /// Verifies a bundle over a statement about a file.
    pub fn verify(&self, bundle: &Value, digest: &Digest) -> Verdict {
        let algorithm = match digest.algorithm() {
            Algorithm::Sha256 => HashAlgorithm::Sha2256,
            Algorithm::Sha384 => HashAlgorithm::Sha2384,
            Algorithm::Sha512 => HashAlgorithm::Sha2512,
            other => return Verdict::Unknown(format!("{other} proves nothing")),
        };
        let verifier = match &self.0 {
            Ok(verifier) => verifier,
            Err(why) => return Verdict::Unknown(why.clone()),
        };
        let parts = serde_json::from_value::<Bundle>(bundle.clone())
            .map_err(|error| error.to_string())
            .and_then(|bundle| {
                let digest = ArtifactDigest::new(algorithm, digest.bytes().to_vec());
                Ok((bundle, digest.map_err(|error| error.to_string())?))
            });
        let (bundle, digest) = match parts {
            Ok(parts) => parts,
            Err(why) => return Verdict::Unknown(why),
        };
        let policy = VerificationPolicy::any_identity();
        let result = match verifier.verify(Artifact::from_digest(digest), &bundle, &policy) {
            Ok(result) => result,
            Err(error) => return refused(&error),
        };
        let claims = result.certificate().map(|one| one.ci_claims.clone());
        let claims = claims.unwrap_or_default();
        Verdict::Good(Signer {
            name: result
                .identity()
                .map(SubjectAltName::to_string)
                .unwrap_or_default(),
            repository: claims.source_repository_uri,
            reference: claims.source_repository_ref,
        })
    }
}

/// An older or younger root of trust explains much, but not these.
fn refused(error: &Error) -> Verdict {
    let is_forged = matches!(
        error,
        Error::SignatureInvalid(_)
            | Error::ArtifactMismatch(_)
            | Error::TransparencyLog(
                TransparencyLogError::EntryMismatch(_) | TransparencyLogError::InclusionProof(_)
            )
    );
    match is_forged {
        true => Verdict::Forged(error.to_string()),
        false => Verdict::Unknown(error.to_string()),
    }
}

/// `ring` and `sha2`, as the crate wants them.
#[derive(Debug)]
struct Ring;

struct Hashing<D>(D);

impl<D: sha2::Digest + Send> HashContext for Hashing<D> {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn finalize(self: Box<Self>) -> Vec<u8> {
        self.0.finalize().to_vec()
    }
}

impl CryptoProvider for Ring {
    fn hash(&self, algorithm: HashAlgorithm) -> Result<Box<dyn HashContext>, CryptoError> {
        Ok(match algorithm {
            HashAlgorithm::Sha2256 => Box::new(Hashing(Sha256::new())),
            HashAlgorithm::Sha2384 => Box::new(Hashing(Sha384::new())),
            HashAlgorithm::Sha2512 => Box::new(Hashing(Sha512::new())),
            other => return Err(CryptoError::UnsupportedAlgorithm(other.to_string())),
        })
    }

    fn verify_raw(
        &self,
        scheme: SigningScheme,
        key: &[u8],
        data: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        let algorithm: &'static dyn rings::VerificationAlgorithm = match scheme {
            SigningScheme::EcdsaP256Sha256 => &rings::ECDSA_P256_SHA256_ASN1,
            SigningScheme::EcdsaP256Sha384 => &rings::ECDSA_P256_SHA384_ASN1,
            SigningScheme::EcdsaP384Sha256 => &rings::ECDSA_P384_SHA256_ASN1,
            SigningScheme::EcdsaP384Sha384 => &rings::ECDSA_P384_SHA384_ASN1,
            SigningScheme::Ed25519 => &rings::ED25519,
            other => return Err(CryptoError::UnsupportedAlgorithm(other.name().to_owned())),
        };
        rings::UnparsedPublicKey::new(algorithm, key)
            .verify(data, signature)
            .map_err(|_| CryptoError::Verification(format!("not good by {}", scheme.name())))
    }

    fn verify_prehashed(
        &self,
        scheme: SigningScheme,
        _: &[u8],
        _: &[u8],
        _: &[u8],
    ) -> Result<(), CryptoError> {
        // What signs statements signs them whole.
        Err(CryptoError::UnsupportedAlgorithm(scheme.name().to_owned()))
    }
}
