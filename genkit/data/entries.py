"""Names of data sets."""

from __future__ import annotations

from genkit.core.entry import Entries, Entry

ENTRIES: Entries = {
    "data": {
        "digits": Entry(
            "genkit.data.digits:digits",
            "Handwritten digits of the MNIST training set (LeCun et al. 1998), labelled 0 to 9.",
            ("lecun1998mnist", "raschka2018mlxtend"),
        ),
        "domains": Entry(
            "genkit.data.domains:domains", "A labelled source beside a target whose labels, if it has any, are dropped."
        ),
        "mnist": Entry(
            "genkit.data.torchvision_sets:mnist",
            "Handwritten digits (LeCun et al. 1998): 60,000 to train, 10,000 to test, 28 x 28 grey, 10 classes.",
            ("lecun1998mnist",),
        ),
        "fashion_mnist": Entry(
            "genkit.data.torchvision_sets:fashion_mnist",
            "Clothes (Xiao et al. 2017): 60,000 to train, 10,000 to test, 28 x 28 grey, 10 classes.",
            ("xiao2017fashion",),
        ),
        "coloured_fashion_mnist": Entry(
            "genkit.data.coloured_fashion_mnist:coloured_fashion_mnist",
            "Fashion-MNIST on 32 x 32 pixels, each garment tinted, rotated and reduced by numbers that are known.",
            ("xiao2017fashion",),
        ),
        "cifar10": Entry(
            "genkit.data.torchvision_sets:cifar10",
            "Small photographs (Krizhevsky 2009): 50,000 to train, 10,000 to test, 32 x 32 colour, 10 classes.",
            ("krizhevsky2009cifar",),
        ),
        "solar_cells": Entry(
            "genkit.data.solar_cells:solar_cells",
            "Electroluminescence of 2,624 solar cells, functional or defective, mono- or polycrystalline, grey.",
            ("buerhop2018elpv", "deitsch2019solar"),
        ),
        "celeba": Entry(
            "genkit.data.torchvision_sets:celeba",
            "202,599 aligned faces (Liu et al. 2015), 178 x 218, cut to the middle 178 x 178 and reduced to `size`.",
            ("liu2015celeba",),
        ),
        "folder": Entry(
            "genkit.data.folder:folder",
            "The images below a folder or in a zip, size x size. How each file is read: `genkit.images.pixels.decode`.",
        ),
        "gaussians25": Entry(
            "genkit.data.points:gaussians25",
            "25 Gaussians at the whole numbers of [-2, 2]^2, equally likely, labelled by mode.",
            ("gulrajani2017wgangp",),
        ),
        "gaussians8": Entry(
            "genkit.data.points:gaussians8",
            "8 Gaussians on a circle of radius 2, equally likely, labelled by mode.",
            ("gulrajani2017wgangp",),
        ),
        "outlier_mixture": Entry(
            "genkit.data.outlier_mixture:outlier_mixture",
            "`data` with a share of its rows replaced; an outlier keeps the label of the row it replaced.",
        ),
        "with_noise": Entry(
            "genkit.data.with_noise:with_noise",
            "`data`, and then `count` images of plain noise, by which a search for junk is tried.",
        ),
        "part": Entry(
            "genkit.data.part:part",
            "Rows `start` to below `stop` of `data`, in its order, e.g. the first 2,000 images of a training set.",
        ),
        "random_part": Entry(
            "genkit.data.random_part:random_part",
            "The rows of `data` between two shares of a random order, e.g. 0 to 0.9 to train and 0.9 to 1 to look at.",
        ),
        "shapes": Entry(
            "genkit.data.shapes:shapes",
            "One coloured shape on grey: disc, square, triangle or cross; all seven factors of every image are known.",
        ),
        "shifted": Entry(
            "genkit.data.shifted:shifted",
            "`data` with every image changed alike, in the order of the arguments; labels stay.",
            ("ganin2015backprop",),
        ),
        "some_classes": Entry(
            "genkit.data.some_classes:some_classes",
            "The rows of `data` whose class is one of `classes`, which are numbered anew: the first is 0.",
        ),
        "stacked_mnist": Entry(
            "genkit.data.stacked_mnist:stacked_mnist",
            "Three random digits of MNIST as red, green and blue: 1,000 classes, 000 to 999.",
            ("lecun1998mnist", "metz2017unrolled"),
        ),
        "swiss_roll": Entry(
            "genkit.data.points:swiss_roll",
            "The spiral t (cos t, sin t), t uniform in [1.5 pi, 4.5 pi], plus noise; no labels.",
            ("gulrajani2017wgangp",),
        ),
        "blank": Entry(
            "genkit.data.blank:blank", "Black images, for a training that looks at none, such as that of directions."
        ),
    },
}
