"""Names of the bones that a figure is moved by; a skeleton must have all of `BONES`."""

SIDES = (("L", 1), ("R", -1))  # the bones' suffix, and the sign of x on that side
SPINE = ("spine05", "spine04", "spine03", "spine02", "spine01")
NECK = ("neck01", "neck02", "neck03", "head")
FINGERS = [(finger, joint) for finger in "2345" for joint in "123"]  # MakeHuman's 1 is the thumb
LIMBS = ("clavicle", "upperarm01", "lowerarm01", "lowerarm02", "wrist", "upperleg01", "lowerleg01", "eye")
BONES = (*SPINE, *NECK, *(f"{bone}.{side}" for side, _ in SIDES for bone in (
    *LIMBS, *(f"finger{finger}-{joint}" for finger, joint in FINGERS))))
