"""`hpcbake deliver`: a run that ends after this stage."""

from hpcbake.cli.image_verb import make_image_verb

command = make_image_verb(
    "deliver",
    "Put the SIF of each image into the store of every site, checked before and verified after.\n"
    "\n"
    "IMAGE is a reference with a tag or a digest. A tag is resolved once; its digest is what is delivered.",
)
