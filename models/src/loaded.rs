//! A model read from a file, of whichever kind: one that was trained here, or a PMML document or an ONNX file made
//! elsewhere.
//!
//! Which of them it is, is seen from how the file begins, not from its name; except for ONNX, whose files begin with
//! nothing that would tell them: their names end in `.onnx`.

#[cfg(feature = "onnx")]
use crate::onnx::{OnnxError, OnnxModel};
use crate::pmml::{Limits, PmmlError, PmmlModel};
use crate::pretrained::{LoadError, Pretrained};
use crate::{ModelError, Prediction, Predictor, Schema};

/// Why a file is not the model that was asked for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReadError {
    /// It is a file of `wavetank train`, with something wrong.
    #[error(transparent)]
    Trained(#[from] LoadError),
    /// It is a PMML document, with something wrong.
    #[error(transparent)]
    Pmml(#[from] PmmlError),
    /// It is an ONNX file, with something wrong.
    #[cfg(feature = "onnx")]
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// It is called an ONNX file, and this program was built without what reads them.
    #[error("this program was built without the feature `onnx`, which reads such files")]
    WithoutOnnx,
    /// It is none of them.
    #[error(
        "this is no model: neither a file that `wavetank train` wrote nor a PMML document (an ONNX file's name ends \
         in .onnx)"
    )]
    Foreign,
    /// It is there, and of another version.
    #[error("the file holds version `{found}` of `{name}`, asked for was version `{asked}`")]
    Version {
        /// Name in the file.
        name: String,
        /// Version in the file.
        found: String,
        /// The version that was asked for.
        asked: String,
    },
}

#[derive(Debug)]
enum Kind {
    Trained(Box<Pretrained>),
    Pmml(Box<PmmlModel>),
    #[cfg(feature = "onnx")]
    Onnx(Box<OnnxModel>),
}

/// A model that was read from a file.
#[derive(Debug)]
pub struct LoadedModel {
    name: String,
    version: String,
    kind: Kind,
    bytes: usize,
}

impl LoadedModel {
    /// Reads a file. A PMML document and an ONNX file have no version that could be relied on: their name is that of
    /// the file, and their version the one that was asked for.
    ///
    /// # Errors
    /// [`ReadError`], which says what is wrong with it.
    pub fn read(file: &str, bytes: &[u8], version: Option<&str>) -> Result<Self, ReadError> {
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let first = text.iter().find(|b| !b.is_ascii_whitespace());
        if first == Some(&b'<') {
            let model = PmmlModel::read(text, &Limits::default())?;
            return Ok(Self::elsewhere(file, bytes, version, Kind::Pmml(Box::new(model))));
        }
        if file.to_ascii_lowercase().ends_with(".onnx") {
            #[cfg(feature = "onnx")]
            return Ok(Self::elsewhere(
                file,
                bytes,
                version,
                Kind::Onnx(Box::new(OnnxModel::read(bytes)?)),
            ));
            #[cfg(not(feature = "onnx"))]
            return Err(ReadError::WithoutOnnx);
        }
        let model = match Pretrained::from_bytes(bytes) {
            Err(LoadError::Foreign) => return Err(ReadError::Foreign),
            read => read?,
        };
        if let Some(asked) = version
            && asked != model.version()
        {
            return Err(ReadError::Version {
                name: model.name().into(),
                found: model.version().into(),
                asked: asked.into(),
            });
        }
        Ok(Self::trained(model, bytes.len()))
    }

    /// A model that was made elsewhere.
    fn elsewhere(file: &str, bytes: &[u8], version: Option<&str>, kind: Kind) -> Self {
        let name = file.rsplit('/').next().unwrap_or(file);
        let name = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        Self {
            name: name.into(),
            version: version.unwrap_or_default().into(),
            kind,
            bytes: bytes.len(),
        }
    }

    /// A model that was trained here, whose file has that many bytes.
    pub fn trained(model: Pretrained, bytes: usize) -> Self {
        Self {
            name: model.name().into(),
            version: model.version().into(),
            kind: Kind::Trained(Box::new(model)),
            bytes,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version; empty for one made elsewhere of which none was said.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Roughly how many bytes it takes: the size of its file.
    pub fn state_bytes(&self) -> usize {
        self.bytes
    }
}

impl Predictor for LoadedModel {
    fn schema(&self) -> &Schema {
        match &self.kind {
            Kind::Trained(model) => model.schema(),
            Kind::Pmml(model) => model.schema(),
            #[cfg(feature = "onnx")]
            Kind::Onnx(model) => model.schema(),
        }
    }

    fn predict(&self, features: &[f64]) -> Result<Prediction, ModelError> {
        match &self.kind {
            Kind::Trained(model) => model.predict(features),
            Kind::Pmml(model) => model.predict(features),
            #[cfg(feature = "onnx")]
            Kind::Onnx(model) => model.predict(features),
        }
    }
}
