"""Blender's side of rooms.py: meshes, materials, light and camera of a room, and one render of it."""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Vector

from .materials import Nodes
from .render import LUMINANCE, prepare_cycles, shoot, srgb
from .rooms import Room
from .stage import empty_scene, look_at, place

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
    grain = nodes.add("TexNoise", Scale={"cloth": 90.0, "carpet": 120.0, "wood": 2.5}.get(kind, 6.0), Detail=5.0)
    nodes.link(where, stretch.inputs["Vector"])
    nodes.link(stretch.outputs[0], grain.inputs["Vector"])
    share = {"wood": 0.6, "cloth": 0.5, "carpet": 0.6}.get(kind, 0.2)
    colour = nodes.mix(share, colour, grain.outputs["Color"], "SOFT_LIGHT")
    rough = {"wood": 0.4, "planks": 0.35, "tiles": 0.2, "plain": 0.4, "leaf": 0.5}.get(kind, 0.9)
    nodes.surface(colour, rough, 0.3, nodes.bump(grain.outputs[0], 0.2, 0.004))
    return nodes.material


def add_mesh(name: str, points: np.ndarray, faces: np.ndarray, colours: np.ndarray, look) -> None:
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(points.tolist(), [], faces.tolist())
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


def render_room(room: Room, width: int, height: int, samples: int, threads: int) -> np.ndarray:
    """(height, width, 3) uint8 RGB."""
    scene = empty_scene()
    for name, (points, faces, colours) in room.meshes.items():
        add_mesh(name, points, faces, colours, material(name, room.floor))
    add_lights(room)
    camera = bpy.data.cameras.new("camera")
    camera.lens, camera.sensor_width, camera.clip_start = room.lens, 36, 0.02
    if room.aperture:  # focused on where a person would stand, so the room behind is soft
        camera.dof.use_dof, camera.dof.focus_distance, camera.dof.aperture_fstop = True, 1.0, room.aperture
    placed = place(camera, "camera")
    look_at(placed, room.eye, room.aim)
    scene.camera = placed
    world = bpy.data.worlds.new("world")
    scene.world, world.use_nodes = world, True
    world.node_tree.nodes["Background"].inputs[1].default_value = 0.3
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
