"""Blender's materials for skin, cloth, hair and the small things, built of shader nodes; no image is ever read."""

from __future__ import annotations

import bpy

from .person import Colour, Fabric


class Nodes:
    """A material under construction: `add` makes a node, `link` joins an output to an input."""

    def __init__(self, name: str):
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self.tree = self.material.node_tree
        self.tree.nodes.clear()
        self.output = self.add("OutputMaterial")

    def add(self, kind: str, **values):
        """A shader node; a keyword names one of its inputs (with "_" for a space) or else one of its settings."""
        node = self.tree.nodes.new(f"ShaderNode{kind}")
        for key, value in values.items():
            name = key.replace("_", " ")
            if name in node.inputs:
                node.inputs[name].default_value = value
            else:
                setattr(node, key, value)
        return node

    def link(self, source, target) -> None:
        self.tree.links.new(source, target)

    def mix(self, share, first, second, blend: str = "MIX"):
        """A mixture of two colours; each argument is a constant or another node's output."""
        node = self.add("Mix", data_type="RGBA", blend_type=blend)
        for socket, value in zip((node.inputs[0], node.inputs[6], node.inputs[7]), (share, first, second)):
            if hasattr(value, "is_output"):
                self.link(value, socket)
            else:
                socket.default_value = value if isinstance(value, float) else (*value, 1.0)
        return node.outputs[2]

    def threshold(self, value, edge: float):
        """0 or 1 by whether `value` is over `edge`."""
        node = self.add("Math", operation="GREATER_THAN")
        self.link(value, node.inputs[0])
        node.inputs[1].default_value = edge
        return node.outputs[0]

    def bump(self, height, strength: float, distance: float, below=None):
        """A normal roughened by `height`; distance in metres."""
        node = self.add("Bump", Strength=strength, Distance=distance)
        self.link(height, node.inputs["Height"])
        if below is not None:
            self.link(below, node.inputs["Normal"])
        return node.outputs[0]

    def surface(self, colour, roughness: float, specular: float, normal=None, metallic: float = 0.0):
        """The principled shader as the material's surface; returns the shader node."""
        node = self.add("BsdfPrincipled", Roughness=roughness, Metallic=metallic, Specular_IOR_Level=specular)
        if hasattr(colour, "is_output"):
            self.link(colour, node.inputs["Base Color"])
        else:
            node.inputs["Base Color"].default_value = (*colour, 1.0)
        if normal is not None:
            self.link(normal, node.inputs["Normal"])
        self.link(node.outputs[0], self.output.inputs[0])
        return node


def skin():
    """The vertices' colours, blotched a little, with fine pores."""
    nodes = Nodes("skin")
    colour = nodes.add("Attribute", attribute_name="colour").outputs["Color"]
    rest = nodes.add("Attribute", attribute_name="rest").outputs["Vector"]
    blotches, pores = nodes.add("TexNoise", Scale=25.0, Detail=4.0), nodes.add("TexNoise", Scale=260.0, Detail=3.0)
    for noise in (blotches, pores):
        nodes.link(rest, noise.inputs["Vector"])
    mixed = nodes.mix(0.2, colour, blotches.outputs["Color"], "SOFT_LIGHT")
    nodes.surface(mixed, 0.48, 0.35, nodes.bump(pores.outputs[0], 0.12, 0.002))
    return nodes.material


def painted(name: str, roughness: float):
    """The vertices' colours and nothing else."""
    nodes = Nodes(name)
    nodes.surface(nodes.add("Attribute", attribute_name="colour").outputs["Color"], roughness, 0.5)
    return nodes.material


def plain(name: str, colour: Colour, roughness: float = 0.4, metallic: float = 0.0):
    nodes = Nodes(name)
    nodes.surface(colour, roughness, 0.5, metallic=metallic)
    return nodes.material


def fabric(name: str, look: Fabric):
    """Cloth with its pattern printed in the rest pose, so it moves with the body."""
    nodes = Nodes(name)
    rest = nodes.add("Attribute", attribute_name="rest").outputs["Vector"]
    first, second, third = look.colours

    def wave(direction: str):
        node = nodes.add("TexWave", Scale=look.scale, bands_direction=direction)
        nodes.link(rest, node.inputs["Vector"])
        return nodes.threshold(node.outputs[1], look.edge)

    if look.pattern == "stripes":
        colour = nodes.mix(wave(look.direction), first, second)
    elif look.pattern == "checks":
        across = wave("X")
        colour = nodes.mix(wave("Z"), nodes.mix(across, first, second), nodes.mix(across, third, second))
    elif look.pattern == "dots":
        cells = nodes.add("TexVoronoi", Scale=look.scale)
        nodes.link(rest, cells.inputs["Vector"])
        colour = nodes.mix(nodes.threshold(cells.outputs["Distance"], 0.25 + 0.3 * look.edge), second, first)
    else:
        colour = nodes.mix(0.0, first, first)
    folds, threads = nodes.add("TexNoise", Scale=7.0, Detail=3.0), nodes.add("TexNoise", Scale=500.0, Detail=2.0)
    for noise in (folds, threads):
        nodes.link(rest, noise.inputs["Vector"])
    colour = nodes.mix(0.35, colour, folds.outputs["Color"], "SOFT_LIGHT")
    normal = nodes.bump(threads.outputs[0], 0.25, 0.003, nodes.bump(folds.outputs[0], 0.5, 0.03))
    nodes.surface(colour, look.roughness, 0.2, normal)
    return nodes.material


def hair(name: str, colour: Colour):
    """Strands, each a little lighter or darker than the next, with light shining through."""
    nodes = Nodes(name)
    shade = nodes.add("MapRange", To_Min=0.45, To_Max=1.6)
    nodes.link(nodes.add("HairInfo").outputs["Random"], shade.inputs["Value"])
    varied = nodes.add("HueSaturation")
    varied.inputs["Color"].default_value = (*colour, 1.0)
    nodes.link(shade.outputs[0], varied.inputs["Value"])
    shiny = nodes.surface(varied.outputs[0], 0.4, 0.35)
    through, both = nodes.add("BsdfTranslucent"), nodes.add("MixShader")
    nodes.link(varied.outputs[0], through.inputs["Color"])
    both.inputs[0].default_value = 0.25
    nodes.link(shiny.outputs[0], both.inputs[1])
    nodes.link(through.outputs[0], both.inputs[2])
    nodes.link(both.outputs[0], nodes.output.inputs[0])
    return nodes.material


def white():
    """Emits 1, whatever the light: what the alpha pass draws everything with."""
    nodes = Nodes("white")
    emission = nodes.add("Emission", Strength=1.0)
    emission.inputs["Color"].default_value = (1.0, 1.0, 1.0, 1.0)
    nodes.link(emission.outputs[0], nodes.output.inputs[0])
    return nodes.material
