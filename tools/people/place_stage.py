"""Blender's side of rooms.py and outdoors.py: meshes, materials, light and camera of a place, and one render of it."""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Vector

from .materials import Nodes
from .outdoors import Outdoors, Sky
from .render import LUMINANCE, prepare_cycles, shoot, srgb
from .rooms import Room
from .stage import empty_scene, look_at, place, polygons

GLOW = 6.0  # how much brighter than paper a pane or a lampshade is


def material(name: str, floor: str):
    """The look of one of rooms.MATERIALS, tinted by the faces' colours."""
    nodes = Nodes(name)
    colour = nodes.add("Attribute", attribute_name="colour").outputs["Color"]
    if name == "glow":
        emission = nodes.add("Emission", Strength=GLOW)
        nodes.link(colour, emission.inputs["Color"])
        nodes.link(emission.outputs[0], nodes.output.inputs[0])
        return nodes.material
    where = nodes.add("NewGeometry").outputs["Position"]
    kind = {"floor": floor}.get(name, name)
    if kind in ("planks", "tiles"):
        bricks = nodes.add("TexBrick", Scale=1.0, offset=0.0 if kind == "tiles" else 0.37)
        sizes = {"Brick Width": 0.3, "Row Height": 0.3} if kind == "tiles" else {"Brick Width": 1.4, "Row Height": 0.12}
        for key, value in (sizes | {"Mortar Size": 0.004, "Color1": (1, 1, 1, 1), "Color2": (0.7, 0.7, 0.7, 1),
                                    "Mortar": (0.2, 0.2, 0.2, 1)}).items():
            bricks.inputs[key].default_value = value
        nodes.link(where, bricks.inputs["Vector"])
        colour = nodes.mix(1.0, colour, bricks.outputs["Color"], "MULTIPLY")
    stretch = nodes.add("Mapping", Scale=(1, 1, 12) if name == "wood" else (1, 1, 1))
    scale = {"cloth": 90.0, "carpet": 120.0, "grass": 30.0, "wood": 2.5}.get(kind, 6.0)
    grain = nodes.add("TexNoise", Scale=scale, Detail=5.0)
    nodes.link(where, stretch.inputs["Vector"])
    nodes.link(stretch.outputs[0], grain.inputs["Vector"])
    share = {"wood": 0.6, "cloth": 0.5, "carpet": 0.6, "grass": 0.7}.get(kind, 0.2)
    colour = nodes.mix(share, colour, grain.outputs["Color"], "SOFT_LIGHT")
    rough = {"wood": 0.4, "planks": 0.35, "tiles": 0.2, "plain": 0.4, "leaf": 0.5}.get(kind, 0.9)
    nodes.surface(colour, rough, 0.3, nodes.bump(grain.outputs[0], 0.2, 0.004))
    return nodes.material


def add_mesh(name: str, points: np.ndarray, faces: np.ndarray, colours: np.ndarray, look) -> None:
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(points.tolist(), [], polygons(faces))
    values = mesh.attributes.new("colour", "FLOAT_COLOR", "FACE").data
    with_alpha = np.column_stack([np.clip(colours, 0, 1), np.ones(len(faces))])
    values.foreach_set("color", with_alpha.astype(np.float32).ravel())
    mesh.materials.append(look)
    place(mesh, name)


def add_lights(room: Room) -> None:
    """Daylight inside every window, and a lamp below the ceiling."""
    for middle, out, width in room.windows:
        lamp = bpy.data.lights.new("window", "AREA")
        lamp.shape, lamp.size, lamp.size_y, lamp.energy = "RECTANGLE", width, 1.2, room.daylight
        placed = place(lamp, "window")
        look_at(placed, middle + 0.1 * out, middle + out)
        placed.visible_camera = False
    width, depth, height = room.size
    lamp = bpy.data.lights.new("ceiling", "AREA")
    lamp.size, lamp.energy, lamp.color = 0.6, room.lamp, room.warmth
    placed = place(lamp, "ceiling")
    placed.location = Vector((0, depth / 2, height - 0.05))
    placed.visible_camera = False


def add_indoor_light(room: Room) -> None:
    """The lights of a room and a little of everywhere."""
    add_lights(room)
    world = bpy.data.worlds.new("world")
    bpy.context.scene.world, world.use_nodes = world, True
    world.node_tree.nodes["Background"].inputs[1].default_value = 0.3


def add_sky(sky: Sky) -> None:
    """A gradient from the horizon up with clouds over it, and one direct light."""
    world = bpy.data.worlds.new("sky")
    world.use_nodes = True
    bpy.context.scene.world = world
    tree = world.node_tree
    add, link = tree.nodes.new, tree.links.new
    where, axes, up = add("ShaderNodeTexCoord"), add("ShaderNodeSeparateXYZ"), add("ShaderNodeValToRGB")
    link(where.outputs["Generated"], axes.inputs[0])
    link(axes.outputs["Z"], up.inputs[0])
    for element, colour, height in zip(up.color_ramp.elements, (sky.horizon, sky.zenith), (0.0, 0.45)):
        element.color, element.position = (*colour, 1.0), height
    flat, noise, share = add("ShaderNodeMapping"), add("ShaderNodeTexNoise"), add("ShaderNodeValToRGB")
    flat.inputs["Scale"].default_value = (1, 1, 3.5)
    noise.inputs["Scale"].default_value, noise.inputs["Detail"].default_value = 3.0, 8.0
    link(where.outputs["Generated"], flat.inputs[0])
    link(flat.outputs[0], noise.inputs["Vector"])
    link(noise.outputs[0], share.inputs[0])
    begin, most = 0.7 - 0.4 * sky.clouds, min(1.5 * sky.clouds, 1.0)
    for element, value, height in zip(share.color_ramp.elements, (0.0, most), (begin, begin + 0.2)):
        element.color, element.position = (value, value, value, 1.0), height
    mixed = add("ShaderNodeMix")
    mixed.data_type = "RGBA"
    link(share.outputs[0], mixed.inputs[0])
    link(up.outputs[0], mixed.inputs[6])
    brightness = float(np.mean(sky.horizon)) * 0.5 + 0.5 * float(np.mean(sky.zenith))
    mixed.inputs[7].default_value = (*(0.3 * np.array(sky.horizon) + 0.9 * brightness), 1.0)
    link(mixed.outputs[2], tree.nodes["Background"].inputs[0])
    tree.nodes["Background"].inputs[1].default_value = sky.strength
    lamp = bpy.data.lights.new("sun", "SUN")
    lamp.energy, lamp.color, lamp.angle = sky.sun, sky.tint, np.radians(sky.softness)
    azimuth, elevation = np.radians(sky.azimuth), np.radians(sky.elevation)
    towards = np.array([np.sin(azimuth) * np.cos(elevation), np.cos(azimuth) * np.cos(elevation), np.sin(elevation)])
    look_at(place(lamp, "sun"), 50 * towards, np.zeros(3))


def render_place(seen: Room | Outdoors, width: int, height: int, samples: int, threads: int) -> np.ndarray:
    """(height, width, 3) uint8 RGB."""
    scene = empty_scene()
    for name, (points, faces, colours) in seen.meshes.items():
        add_mesh(name, points, faces, colours, material(name, seen.floor))
    if isinstance(seen, Room):
        add_indoor_light(seen)
    else:
        add_sky(seen.sky)
    camera = bpy.data.cameras.new("camera")
    camera.lens, camera.sensor_width, camera.clip_start = seen.lens, 36, 0.02
    if seen.aperture:  # focused on where a person would stand, so all behind is soft
        camera.dof.use_dof, camera.dof.focus_distance, camera.dof.aperture_fstop = True, 1.0, seen.aperture
    placed = place(camera, "camera")
    look_at(placed, seen.eye, seen.aim)
    scene.camera = placed
    prepare_cycles(scene, width, height, threads)
    scene.render.film_transparent = False
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.denoiser = samples, True, "OPENIMAGEDENOISE"
    scene.cycles.use_fast_gi, scene.cycles.fast_gi_method = True, "REPLACE"  # ambient occlusion for the last bounces
    return expose(shoot(scene)[..., :3])


def expose(linear: np.ndarray) -> np.ndarray:
    """Linear (H, W, 3) → sRGB uint8: the median brightness goes to 0.18, lights roll off softly."""
    gain = 0.18 / max(float(np.median(linear @ LUMINANCE)), 1e-3)
    lit = linear * np.clip(gain, 0.2, 8)
    lit = np.where(lit > 0.6, 0.6 + 0.4 * np.tanh((lit - 0.6) / 0.8), lit)
    return np.rint(255 * np.clip(srgb(lit), 0, 1)).astype(np.uint8)
