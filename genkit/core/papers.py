"""Which papers stand behind a name of the catalog, and their BibTeX (papers.bib). `genkit cite` prints them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

CITES: dict[str, tuple[str, ...]] = {
    "gan": ("goodfellow2014gan",),
    "gan_training": ("goodfellow2014gan", "arjovsky2017wgan"),
    "vae": ("kingma2014vae",),
    "vae_training": ("kingma2014vae", "burda2016iwae"),
    "vae_network": ("tomczak2018vamp", "norouzi2020exemplar"),
    "hvae_network": ("tomczak2018vamp", "norouzi2020exemplar"),
    "conv_hvae_network": ("tomczak2018vamp", "norouzi2020exemplar"),
    "pixelsnail_vae_network": ("chen2018pixelsnail", "norouzi2020exemplar"),
    "bernoulli": ("salakhutdinov2008dbn",),
    "logistic_256": ("kingma2016iaf",),
    "standard_prior": (),
    "vamp_prior": ("tomczak2018vamp",),
    "exemplar_prior": ("norouzi2020exemplar",),
    "random_exemplars": ("norouzi2020exemplar",),
    "retrieved_exemplars": ("norouzi2020exemplar",),
    "frozen_exemplars": ("norouzi2020exemplar",),
    "exemplar-vae": ("norouzi2020exemplar",),
    "ddpm": ("ho2020ddpm", "nichol2021iddpm"),
    "ddpm_training": ("ho2020ddpm", "nichol2021iddpm", "ho2022cfg"),
    "process": ("ho2020ddpm", "nichol2021iddpm", "salimans2022distillation"),
    "simple": ("ho2020ddpm",),
    "hybrid": ("nichol2021iddpm",),
    "bound": ("ho2020ddpm",),
    "second_moment": ("nichol2021iddpm",),
    "ancestral": ("ho2020ddpm", "dhariwal2021adm"),
    "ddim": ("song2021ddim", "dhariwal2021adm"),
    "dpm_solver": ("lu2022dpmsolver",),
    "unipc": ("zhao2023unipc",),
    "noisy_classifier": ("dhariwal2021adm",),
    "noisy_classifier_training": ("dhariwal2021adm",),
    "classifier_guided": ("dhariwal2021adm",),
    "classifier_free_guided": ("ho2022cfg",),
    "classifier_training": ("szegedy2016inception",),
    "domain_adaptation": ("balaji2020robust", "ganin2016dann"),
    "mlp_generator": ("gulrajani2017wgangp",),
    "mlp_critic": ("gulrajani2017wgangp",),
    "dcgan_generator": ("radford2016dcgan",),
    "dcgan_critic": ("radford2016dcgan",),
    "resnet_generator": ("he2016resnet", "gulrajani2017wgangp", "wu2020ratioclipping"),
    "resnet_critic": ("he2016resnet", "gulrajani2017wgangp", "wu2020ratioclipping"),
    "transgan_generator": ("jiang2021transgan",),
    "transgan_critic": ("jiang2021transgan", "dosovitskiy2021vit"),
    "two_scale_transgan_critic": ("jiang2021transgan",),
    "classifier": (),
    "mlp_classifier": (),
    "imagenet_resnet_classifier": ("he2016resnet",),
    "imagenet_resnet_critic": ("he2016resnet", "balaji2020robust"),
    "exemplar_augment": ("norouzi2020exemplar",),
    "diffusers_unet": ("ho2020ddpm",),
    "super_resolution_unet": ("dhariwal2021adm", "nichol2021iddpm"),
    "encoder_unet": ("dhariwal2021adm",),
    "unet": ("dhariwal2021adm", "nichol2021iddpm", "ho2020ddpm"),
    "wasserstein": ("arjovsky2017wgan",),
    "hinge": ("lim2017hinge", "miyato2018spectral"),
    "non_saturating": ("goodfellow2014gan",),
    "gradient_penalty": ("gulrajani2017wgangp",),
    "r1": ("mescheder2018r1",),
    "consistency": ("wei2018ctgan",),
    "softmax_weighting": ("wu2020ratioclipping",),
    "score_drift": ("karras2018progressive",),
    "diff_augment": ("zhao2020diffaugment", "jiang2021transgan"),
    "super_resolution": ("jiang2021transgan",),
    "locality_mask": ("jiang2021transgan",),
    "robust_weights": ("balaji2020robust",),
    "official_robust_weights": ("balaji2020robust",),
    "closed_form_weights": ("balaji2020robust",),
    "reused_ascent": ("balaji2020robust",),
    "weight_network": ("balaji2020robust",),
    "robust_dcgan_generator": ("balaji2020robust",),
    "robust_dcgan_critic": ("balaji2020robust",),
    "robust_resnet_generator": ("balaji2020robust",),
    "robust_resnet_critic": ("balaji2020robust",),
    "robust-ot": ("balaji2020robust",),
    "sup_norm_penalty": ("nietert2022robust",),
    "sndcgan_critic": ("miyato2018spectral", "balaji2020robust"),
    "outlier_mixture": (),
    "part": (),
    "anneal": (),
    "ascent": (),
    "ratio_clipping": ("wu2020ratioclipping",),
    "official_ratio_clipping": ("wu2020ratioclipping",),
    "adam": ("kingma2015adam",),
    "adam_norm_grad": ("norouzi2020exemplar", "kingma2015adam"),
    "adamw": ("loshchilov2019adamw",),
    "sgd": (),
    "constant": (),
    "linear": (),
    "cosine": ("loshchilov2017sgdr",),
    "domains": (),
    "shifted": ("ganin2015backprop",),
    "inverse": ("ganin2015backprop", "balaji2020robust"),
    "digits": ("lecun1998mnist", "raschka2018mlxtend"),
    "mnist": ("lecun1998mnist",),
    "fashion_mnist": ("xiao2017fashion",),
    "cifar10": ("krizhevsky2009cifar",),
    "celeba": ("liu2015celeba",),
    "folder": (),
    "gaussians25": ("gulrajani2017wgangp",),
    "gaussians8": ("gulrajani2017wgangp",),
    "swiss_roll": ("gulrajani2017wgangp",),
    "fd": ("heusel2017fid",),
    "kd": ("binkowski2018kid",),
    "kds": ("binkowski2018kid",),
    "is": ("salimans2016is",),
    "pr": ("kynkaanniemi2019pr",),
    "dc": ("naeem2020dc",),
    "vendi": ("friedman2023vendi",),
    "authenticity": ("alaa2022authenticity",),
    "modes": ("srivastava2017veegan",),
    "inception": ("szegedy2016inception", "heusel2017fid"),
    "clean": ("parmar2022cleanfid",),
    "efficientnet-lite0": ("tan2019efficientnet",),
    "dinov2": ("oquab2024dinov2",),
    "guided-diffusion": ("dhariwal2021adm",),
    "improved-diffusion": ("nichol2021iddpm",),
    "ppogan": ("wu2020ratioclipping",),
    "transgan": ("jiang2021transgan",),
}
"""Name in the catalog, metric, or part of an extractor's or layout's name -> keys of papers.bib; () needs none."""

ARGUMENTS: tuple[tuple[str, str, Any, str], ...] = (
    ("_critic", "spectral_norm", None, "miyato2018spectral"),
    ("_critic", "classes", None, "miyato2018projection"),
    ("_generator", "classes", None, "mirza2014cgan"),
    ("gradient_penalty", "sides", "one", "petzka2018lp"),
)
"""(end of the type's name, argument, its value or None for anything but nothing, key): papers of a single setting."""


def papers_of(spec: Any) -> list[str]:
    """Keys for a name, or for everything inside nested `{type: name, **arguments}`, in order, each once."""
    return list(dict.fromkeys(_keys(spec)))


def _keys(spec: Any) -> Iterator[str]:
    if isinstance(spec, str):
        for part in (spec, *spec.split("/")):
            yield from CITES.get(part, ())
    elif isinstance(spec, Mapping):
        name = spec.get("type")
        if isinstance(name, str):
            yield from CITES.get(name, ())
            yield from _of_arguments(name, spec)
        for value in spec.values():
            if isinstance(value, (Mapping, list)):
                yield from _keys(value)
    elif isinstance(spec, list):
        for value in spec:
            yield from _keys(value)


def _of_arguments(name: str, spec: Mapping[str, Any]) -> Iterator[str]:
    for ending, argument, value, key in ARGUMENTS:
        given = spec.get(argument)
        if name.endswith(ending) and given and value in (None, given):
            yield key


def mentioned(text: str) -> list[str]:
    """Keys of the papers whose arXiv numbers stand in `text`."""
    numbers = set(re.findall(r"arXiv:(\d{4}\.\d{4,5})", text))
    return [key for key, entry in entries().items() if any(f"{{{number}}}" in entry for number in numbers)]


def bibtex(keys: Iterable[str]) -> str:
    """The entries of `keys`, in order, an empty line between them."""
    return "\n\n".join(entries()[key] for key in keys)


@cache
def entries() -> dict[str, str]:
    """Key -> BibTeX entry."""
    text = Path(__file__).with_name("papers.bib").read_text(encoding="utf-8")
    return {_key(entry): entry for entry in text.strip().split("\n\n")}


def _key(entry: str) -> str:
    found = re.match(r"@\w+\{([\w:-]+),", entry)
    assert found, f"papers.bib: no key in {entry[:40]!r}"
    return found[1]


def short(key: str) -> str:
    """'Wu et al. 2020, Improving GAN Training with Probability Ratio Clipping and Sample Reweighting'."""
    entry = entries()[key]
    authors = _field(entry, "author").split(" and ")
    names = [author.split(",")[0] for author in authors]
    who = names[0] + (" et al." if len(names) > 2 else f" and {names[1]}" if len(names) == 2 else "")
    return f"{who} {_field(entry, 'year')}, {_field(entry, 'title')}"


def _field(entry: str, name: str) -> str:
    found = re.search(rf"^\s*{name}\s*=\s*\{{(.*)\}},?$", entry, re.MULTILINE)
    assert found, f"papers.bib: no {name} in {entry[:40]!r}"
    return _plain(found[1])


def _plain(text: str) -> str:
    """LaTeX accents as letters, braces dropped."""
    marks = {"'": "\u0301", '"': "\u0308"}
    text = re.sub(r"""\{?\\(['"])(\w)\}?""", lambda m: m[2] + marks[m[1]], text)
    return unicodedata.normalize("NFC", text.replace(r"{\l}", "ł").replace("{", "").replace("}", ""))
