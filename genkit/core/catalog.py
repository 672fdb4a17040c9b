"""The table of contents: every name a recipe or config.json may use, and how `{type: name, **arguments}` is built."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

from genkit.core.conversion import arguments, at, converted, join
from genkit.core.errors import GenkitError, RecipeError, shown, suggest
from genkit.core.reference import check_reference, is_reference, load_reference

CATALOG: dict[str, dict[str, str]] = {
    "generators": {
        "gan": "genkit.gan.gan:GAN",
        "ddpm": "genkit.diffusion.ddpm:DDPM",
        "classifier_guided": "genkit.diffusion.classifier_guidance:ClassifierGuided",
        "classifier_free_guided": "genkit.diffusion.classifier_free_guidance:ClassifierFreeGuided",
        "vae": "genkit.vae.vae:VAE",
    },
    "systems": {
        "gan_training": "genkit.gan.gan:GANTraining",
        "ddpm_training": "genkit.diffusion.ddpm:DDPMTraining",
        "noisy_classifier_training": "genkit.diffusion.noisy_classifier_training:NoisyClassifierTraining",
        "vae_training": "genkit.vae.vae_training:VAETraining",
        "classifier_training": "genkit.classifiers.classifier_training:ClassifierTraining",
        "domain_adaptation": "genkit.classifiers.domain_adaptation:DomainAdaptation",
    },
    "networks": {
        "mlp_generator": "genkit.gan.networks.mlp:MLPGenerator",
        "mlp_critic": "genkit.gan.networks.mlp:MLPCritic",
        "dcgan_generator": "genkit.gan.networks.dcgan:DCGANGenerator",
        "dcgan_critic": "genkit.gan.networks.dcgan:DCGANCritic",
        "resnet_generator": "genkit.gan.networks.resnet_gan:ResNetGenerator",
        "resnet_critic": "genkit.gan.networks.resnet_gan:ResNetCritic",
        "transgan_generator": "genkit.gan.networks.transgan_generator:TransGANGenerator",
        "transgan_critic": "genkit.gan.networks.transgan_critic:TransGANCritic",
        "two_scale_transgan_critic": "genkit.gan.networks.transgan_critic:TwoScaleTransGANCritic",
        "robust_dcgan_generator": "genkit.gan.networks.robust_dcgan:RobustDCGANGenerator",
        "robust_dcgan_critic": "genkit.gan.networks.robust_dcgan:RobustDCGANCritic",
        "sndcgan_critic": "genkit.gan.networks.robust_dcgan:SNDCGANCritic",
        "weight_network": "genkit.gan.networks.robust_dcgan:WeightNetwork",
        "robust_resnet_generator": "genkit.gan.networks.robust_resnet:RobustResNetGenerator",
        "robust_resnet_critic": "genkit.gan.networks.robust_resnet:RobustResNetCritic",
        "classifier": "genkit.classifiers.conv_classifier:Classifier",
        "mlp_classifier": "genkit.classifiers.mlp_classifier:MLPClassifier",
        "imagenet_resnet_classifier": "genkit.classifiers.imagenet_resnet:ImageNetResNetClassifier",
        "imagenet_resnet_critic": "genkit.classifiers.imagenet_resnet:ImageNetResNetCritic",
        "vae_network": "genkit.vae.networks.gated_vae:GatedVAENetwork",
        "hvae_network": "genkit.vae.networks.gated_vae:GatedHVAENetwork",
        "conv_hvae_network": "genkit.vae.networks.conv_hvae:ConvHVAENetwork",
        "pixelsnail_vae_network": "genkit.vae.networks.pixelsnail_vae:PixelSNAILVAENetwork",
        "unet": "genkit.diffusion.networks.unet:UNet",
        "diffusers_unet": "genkit.diffusion.networks.wrapped_unet:DiffusersUNet",
        "super_resolution_unet": "genkit.diffusion.networks.unet:SuperResolutionUNet",
        "encoder_unet": "genkit.diffusion.networks.encoder_unet:EncoderUNet",
    },
    "vae": {
        "bernoulli": "genkit.vae.pixel_likelihoods:Bernoulli",
        "logistic_256": "genkit.vae.pixel_likelihoods:Logistic256",
        "standard_prior": "genkit.vae.latent_priors:StandardNormal",
        "vamp_prior": "genkit.vae.latent_priors:VampPrior",
        "exemplar_prior": "genkit.vae.latent_priors:ExemplarPrior",
        "exemplar_augment": "genkit.vae.augment:ExemplarAugment",
        "random_exemplars": "genkit.vae.exemplar_choice:RandomExemplars",
        "retrieved_exemplars": "genkit.vae.exemplar_retrieval:RetrievedExemplars",
        "frozen_exemplars": "genkit.vae.exemplar_retrieval:FrozenExemplars",
    },
    "diffusion": {
        "noisy_classifier": "genkit.diffusion.noisy_classifier:NoisyClassifier",
        "process": "genkit.diffusion.process:Process",
        "ancestral": "genkit.diffusion.solvers:Ancestral",
        "ddim": "genkit.diffusion.solvers:DDIM",
        "dpm_solver": "genkit.diffusion.multistep:DPMSolver",
        "unipc": "genkit.diffusion.multistep:UniPC",
        "simple": "genkit.diffusion.losses:Simple",
        "hybrid": "genkit.diffusion.losses:Hybrid",
        "bound": "genkit.diffusion.losses:Bound",
        "second_moment": "genkit.diffusion.step_choice:SecondMoment",
    },
    "techniques": {
        "wasserstein": "genkit.gan.objectives:Wasserstein",
        "hinge": "genkit.gan.objectives:Hinge",
        "non_saturating": "genkit.gan.objectives:NonSaturating",
        "gradient_penalty": "genkit.gan.gradient_penalty:GradientPenalty",
        "r1": "genkit.gan.gradient_penalty:R1",
        "consistency": "genkit.gan.consistency:Consistency",
        "softmax_weighting": "genkit.gan.softmax_weighting:SoftmaxWeighting",
        "score_drift": "genkit.gan.score_drift:ScoreDrift",
        "diff_augment": "genkit.gan.diff_augment:DiffAugment",
        "super_resolution": "genkit.gan.super_resolution:SuperResolution",
        "locality_mask": "genkit.gan.locality_mask:LocalityMask",
        "robust_weights": "genkit.gan.robust_weights:RobustWeights",
        "official_robust_weights": "genkit.gan.robust_weights:OfficialRobustWeights",
        "closed_form_weights": "genkit.gan.robust_weights:ClosedFormWeights",
        "sup_norm_penalty": "genkit.gan.sup_norm:SupNormPenalty",
        "reused_ascent": "genkit.gan.reused_ascent:ReusedAscent",
        "anneal": "genkit.gan.anneal:Anneal",
        "ascent": "genkit.gan.slots:Ascent",
        "ratio_clipping": "genkit.gan.ratio_clipping:RatioClipping",
        "official_ratio_clipping": "genkit.gan.ratio_clipping:OfficialRatioClipping",
    },
    "optimizers": {
        "adam": "genkit.training.optimizers:Adam",
        "adam_norm_grad": "genkit.training.optimizers:AdamNormGrad",
        "adamw": "genkit.training.optimizers:AdamW",
        "sgd": "genkit.training.optimizers:SGD",
        "constant": "genkit.training.schedules:Constant",
        "linear": "genkit.training.schedules:Linear",
        "cosine": "genkit.training.schedules:Cosine",
        "inverse": "genkit.training.schedules:Inverse",
    },
    "data": {
        "digits": "genkit.data.digits:digits",
        "domains": "genkit.data.domains:domains",
        "mnist": "genkit.data.torchvision_sets:mnist",
        "fashion_mnist": "genkit.data.torchvision_sets:fashion_mnist",
        "cifar10": "genkit.data.torchvision_sets:cifar10",
        "celeba": "genkit.data.torchvision_sets:celeba",
        "folder": "genkit.data.folder:folder",
        "gaussians25": "genkit.data.points:gaussians25",
        "gaussians8": "genkit.data.points:gaussians8",
        "outlier_mixture": "genkit.data.outliers:outlier_mixture",
        "part": "genkit.data.part:part",
        "shifted": "genkit.data.shifts:shifted",
        "swiss_roll": "genkit.data.points:swiss_roll",
    },
}
"""kind -> name -> "module:class or function". Nothing is imported before it is built."""


def register(kind: str, name: str, target: str) -> None:
    """Adds a name, so that recipes and weights may use a class of your own.

    Only code can do this: a recipe or a weights folder never names a module to import.

    Raises:
        RecipeError: the kind is unknown or the name is taken.
    """
    if kind not in CATALOG:
        raise RecipeError(f"no kind {kind!r} in the catalog{suggest(kind, CATALOG)}")
    if name in _targets() and _targets()[name] != target:
        raise RecipeError(f"the catalog already has {name!r} ({_targets()[name]}); choose another name")
    CATALOG[kind][name] = target


def _targets() -> dict[str, str]:
    return {name: target for names in CATALOG.values() for name, target in names.items()}


def find(name: Any, *, kind: str | None = None, makes: type = object, where: str = "") -> Any:
    """The class or function that `name` stands for.

    Args:
        name: of the catalog.
        kind: accept only names of this kind.
        makes: of what the names that a message offers make one.
        where: path of the name in its file, for messages.

    Raises:
        RecipeError: with the nearest accepted name.
    """
    accepted = CATALOG[kind] if kind else _targets()
    if not isinstance(name, str) or name not in accepted:
        raise RecipeError(f"{at(where)}unknown type {shown(name)}{suggest(name, _fitting(accepted, makes))}")
    return load(accepted[name])


def load(target: str) -> Any:
    """What `package.module:name` names."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def may_make(make: Any, wanted: type) -> bool:
    """Whether a class or function may give a `wanted`, false only where it is certain.

    Protocols are told by instances, and a function may return more than it says.
    """
    if wanted is object or getattr(wanted, "_is_protocol", False):
        return True
    if inspect.isclass(make):
        return issubclass(make, wanted)
    told = get_type_hints(make).get("return")
    return not inspect.isclass(told) or issubclass(told, wanted) or issubclass(wanted, told)


def _fitting(names: Mapping[str, str], wanted: type) -> list[str]:
    """Those of `names` that may make a `wanted`; all are imported to know, so this is for messages."""
    return [name for name, target in names.items() if wanted is object or may_make(load(target), wanted)]


def name_of(cls: type) -> str:
    """The catalog's name of a class, else its dotted path (which can be written, but not built)."""
    path = f"{cls.__module__}:{cls.__qualname__}"
    return next((name for name, target in _targets().items() if target == path), path)


def build(spec: Any, *, kind: str | None = None, makes: type = object, where: str = "") -> Any:
    """The object that `{type: name, **arguments}` describes, arguments built first, depth first.

    All names, keys and plain values, at any depth, are checked before anything is built: a misspelt key costs no
    decoded data and no downloaded weights.

    Args:
        spec: a mapping with the key `type`.
        kind: accept only names of this kind.
        makes: accept only what makes one of these.
        where: path of `spec` in its file, for messages.

    Raises:
        RecipeError: `where.key: what was got; what is accepted`.
    """
    check(spec, kind=kind, makes=makes, where=where)
    return _made(spec, kind, makes, where)


def check(spec: Any, *, kind: str | None = None, makes: type = object, where: str = "") -> None:
    """The checks of `build`, without building."""
    make, given = _named(spec, kind, makes, where)
    arguments(make, given, _checked, where=where)


def check_arguments(make: Any, given: Mapping[str, Any], *, where: str = "") -> dict[str, Any]:
    """`given`, checked against the signature of `make` and converted by its type hints; nested specs are built."""
    arguments(make, given, _checked, where=where)
    return arguments(make, given, _built, where=where)


def convert(hint: Any, value: Any, *, where: str = "") -> Any:
    """`value` as `hint` asks; nested specs are built."""
    converted(hint, value, _checked, where=where)
    return converted(hint, value, _built, where=where)


def _named(spec: Any, kind: str | None, makes: type, where: str) -> tuple[Any, dict[str, Any]]:
    """What `spec` would make, and the arguments that it gives."""
    names = CATALOG[kind] if kind else _targets()
    if hasattr(spec, "config"):
        raise RecipeError(f"{at(where)}needs a {makes.__name__}, got a {type(spec).__name__}")
    if not isinstance(spec, Mapping):
        raise RecipeError(f"{at(where)}needs a mapping with the key 'type', got {shown(spec)}")
    if "type" not in spec:
        raise RecipeError(f"{at(where)}needs the key 'type'{suggest('', _fitting(names, makes))}")
    make = find(spec["type"], kind=kind, makes=makes, where=join(where, "type"))
    if not may_make(make, makes):
        near = suggest(spec["type"], _fitting(names, makes))
        raise RecipeError(f"{at(where)}{spec['type']!r} does not make a {makes.__name__}{near}")
    return make, {k: v for k, v in spec.items() if k != "type"}


def _made(spec: Any, kind: str | None, makes: type, where: str) -> Any:
    make, given = _named(spec, kind, makes, where)
    ready = arguments(make, given, _built, where=where)
    try:
        return make(**ready)
    except RecipeError as error:
        raise error if str(error).startswith(where) else RecipeError(f"{at(where)}{error}") from error
    except GenkitError:
        raise
    except ValueError as error:
        raise RecipeError(f"{at(where)}{error}") from error


def _built(hint: type, value: Any, where: str) -> Any:
    if is_reference(value):
        return load_reference(hint, value, where)
    made = value if isinstance(value, hint) else _made(value, None, hint, where)
    if not isinstance(made, hint):  # of a function that does not say what it makes, or a protocol
        raise RecipeError(f"{at(where)}{shown(value['type'])} does not make a {hint.__name__}")
    return made


def _checked(hint: type, value: Any, where: str) -> Any:
    """`value` as it is, if it would become a `hint`."""
    if is_reference(value):
        check_reference(hint, value, where)
    elif not isinstance(value, hint):
        check(value, makes=hint, where=where)
    return value


def shipped(folder: str) -> Path:
    """`recipes` or `weights` as shipped: inside an installed package, or at the top of a checkout."""
    package = Path(__file__).parents[1]
    inside = package / folder
    return inside if inside.is_dir() else package.parent / folder
